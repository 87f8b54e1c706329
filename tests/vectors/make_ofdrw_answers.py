"""Write ofd/ofdrw-answers.json: what ofdrw says of the OFD files here. Needs Java, Maven and Maven Central.

    MINGZHENG_JAVA_CACHE=DIR python tests/vectors/make_ofdrw_answers.py

Packages with hostile ZIP names are left out: ofdrw unpacks to disk.
"""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
TABLE = HERE / "ofd" / "ofdrw-answers.json"


def answers() -> dict[str, Any]:
    """File -> the validator's word on the whole file and on every signature."""
    import javajudge

    files = sorted((HERE / "ofd").glob("files/*.ofd")) + sorted((HERE / "ofd").glob("crafted/*.ofd"))
    found = {}
    for line in javajudge.run("ofdrw", "judge.Judge", "verify", *files):
        answer = json.loads(line[0])
        name = str(Path(answer.pop("file")).relative_to(HERE / "ofd"))
        found[name] = {key: _plain(value) for key, value in sorted(answer.items())}
    return found


def _plain(value: Any) -> Any:
    """Without what depends on the Java runtime's wording."""
    if isinstance(value, list):
        return [{key: _plain(inner) for key, inner in sorted(item.items())} for item in value]
    text = str(value)
    return text.partition(":")[0] if text.startswith("java.lang.") else text


if __name__ == "__main__":
    TABLE.write_text(json.dumps(answers(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
