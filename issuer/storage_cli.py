"""`mingzheng log migrate`: the workspace's log goes to a database server and an object store (docs/spec/storage.md)."""

import os
from pathlib import Path
from typing import Any

from mingzheng.issuer.logplace import move_log
from mingzheng.issuer.options import JSON, LANG, SECRET, WORKSPACE, YES, confirm, open_workspace, print_lines
from mingzheng.issuer.workspace import LOG
from mingzheng.log.cli import log_group

__all__ = ["log_migrate"]


@log_group.command("migrate")
@WORKSPACE
@YES
@SECRET
@JSON
@LANG
def log_migrate(workspace: Path, *, yes: bool, as_json: bool, lang: str, **options: Any) -> None:
    """Move the log to PostgreSQL and an S3-compatible store, compared byte for byte. 迁移日志。

    The place is named by MINGZHENG_LOG_DATABASE, _SCHEMA, _S3_ENDPOINT, _S3_BUCKET, _S3_REGION, _S3_PREFIX,
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, now and from then on. The directory becomes read-only. May be run
    again if it was cut short. 目标由环境变量指定；迁移后原目录只读；中途停止可再次运行。

    \b
    mingzheng log migrate --workspace W
    """
    confirm(yes)
    with open_workspace(workspace, options) as opened:
        moved = move_log(opened.root / LOG, opened.log_identity(), os.environ)
    value: dict[str, object] = {"size": moved.size, "objects": moved.objects, "rows": moved.rows}
    text = (
        f"已迁移：{moved.size} 条，{moved.objects} 个文件，{moved.rows} 行，逐一核对一致。"
        if lang == "zh"
        else f"moved: {moved.size} entries, {moved.objects} files, {moved.rows} rows, all compared."
    )
    print_lines([value], [text], as_json)
