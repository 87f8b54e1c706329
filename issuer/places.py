"""Names of the numbers in a key's scope: kinds, by the profiles, and regions of GB/T 2260 (0: the country). Pure."""

from typing import Final

from mingzheng.formats.profile import ProfileSet

_NAMES: Final = {
    0: ("全国", "national"),
    11: ("北京", "Beijing"),
    12: ("天津", "Tianjin"),
    13: ("河北", "Hebei"),
    14: ("山西", "Shanxi"),
    15: ("内蒙古", "Inner Mongolia"),
    21: ("辽宁", "Liaoning"),
    22: ("吉林", "Jilin"),
    23: ("黑龙江", "Heilongjiang"),
    31: ("上海", "Shanghai"),
    32: ("江苏", "Jiangsu"),
    33: ("浙江", "Zhejiang"),
    34: ("安徽", "Anhui"),
    35: ("福建", "Fujian"),
    36: ("江西", "Jiangxi"),
    37: ("山东", "Shandong"),
    41: ("河南", "Henan"),
    42: ("湖北", "Hubei"),
    43: ("湖南", "Hunan"),
    44: ("广东", "Guangdong"),
    45: ("广西", "Guangxi"),
    46: ("海南", "Hainan"),
    50: ("重庆", "Chongqing"),
    51: ("四川", "Sichuan"),
    52: ("贵州", "Guizhou"),
    53: ("云南", "Yunnan"),
    54: ("西藏", "Tibet"),
    61: ("陕西", "Shaanxi"),
    62: ("甘肃", "Gansu"),
    63: ("青海", "Qinghai"),
    64: ("宁夏", "Ningxia"),
    65: ("新疆", "Xinjiang"),
    71: ("台湾", "Taiwan"),
    81: ("香港", "Hong Kong"),
    82: ("澳门", "Macao"),
}


def place_name(code: int, lang: str) -> str:
    """The name of a region; its number if there is none."""
    names = _NAMES.get(code)
    return str(code) if names is None else names[0 if lang == "zh" else 1]


def kind_name(profiles: ProfileSet, code: int, lang: str) -> str:
    """The name of a kind with its id; its number if no profile tells."""
    for head in profiles.of_kind(code):
        profile = head.profile
        return f"{profile.name_zh}（{profile.id}）" if lang == "zh" else f"{profile.name_en} ({profile.id})"
    return str(code)


def name_number(profiles: ProfileSet, what: str, number: int, lang: str) -> str:
    """The name of a number of `kinds` or of `jurisdictions`."""
    return kind_name(profiles, number, lang) if what == "kinds" else place_name(number, lang)
