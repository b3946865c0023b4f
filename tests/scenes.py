"""What people say in the pictures of the page."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.landscape import landscape


@dataclass(frozen=True)
class Line:
    """What somebody says *after* so many seconds; *reply* is the place of the line that it answers."""

    after: int
    who: str
    text: str
    type: str = "text"
    reply: int | None = None
    file: tuple[str, bytes] | None = None
    reactions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    edited: str | None = None


@dataclass(frozen=True)
class Scene:
    """
    A room as its *viewer* finds it, having read up to the line at *read*; *elsewhere* are the
    viewer's other rooms, with what is said there and not read yet, *directs* the same with one other
    person.
    """

    locale: str
    room: str
    topic: str
    viewer: str
    people: tuple[str, ...]
    lines: tuple[Line, ...]
    read: int
    elsewhere: dict[str, tuple[tuple[str, str], ...]]
    directs: dict[str, tuple[str, ...]]
    typing: str
    query: str


VIEW = landscape(1440, 470, 1)
LIST = b"%PDF-1.7\n" + bytes(48_200)

SLOPE = """From his track, for whoever asks **how steep** it is:

```python
def slope(track: Track) -> str:
    rise = track.end.height - track.start.height
    return f"{rise / track.length:.0%}"  # 14%
```"""

ENGLISH = Scene(
    locale="en-GB",
    room="hut-weekend",
    topic="Saturday, 9:00 at the station · bring a towel",
    viewer="Mira",
    people=("Jonas", "Lin", "Noor", "Sam"),
    lines=(
        Line(0, "Noor", "Has anybody been up there since the storm?"),
        Line(30, "Mira", "Not me. I have packed already, though 🎒"),
        Line(
            95,
            "Jonas",
            "I have. Path fine, roof fine, and this is seven in the morning:",
            file=("from-the-door.jpg", VIEW),
            reactions={"😍": ("Mira", "Noor", "Lin"), "❤️": ("Sam",)},
        ),
        Line(
            50,
            "Noor",
            "@Mira, you have to come: nobody else gets that stove to make coffee.",
            reply=2,
        ),
        Line(420, "Sam", SLOPE, "markdown"),
        Line(
            65,
            "Lin",
            "So that is why Jonas carries it.",
            edited="So that is why Jonas carries the stove.",
            reactions={"😂": ("Sam", "Noor", "Mira")},
        ),
        Line(40, "Lin", "", file=("packing-list.pdf", LIST)),
    ),
    read=3,
    elsewhere={
        "allotment": (("Lin", "@Mira, the plums are ripe!"),),
        "book-club": (
            ("Sam", "I am through chapter nine."),
            ("Noor", "No word about the ending, please."),
            ("Sam", "There is a dog."),
        ),
        "choir": (),
        "lobby": (),
    },
    directs={"Lin": ("Shall we share a tent?",), "Noor": ()},
    typing="Sam",
    query="stove",
)

FIND = """附近的车站我写了个**小脚本**来找：

```python
def 最近的车站(位置, 车站们):
    近的 = [站 for 站 in 车站们 if 站.离(位置) < 2000]
    return min(近的, key=lambda 站: 站.离(位置))
```"""

CHINESE = Scene(
    locale="zh-CN",
    room="周末爬山",
    topic="周六早上八点，地铁北安河站集合",
    viewer="晓月",
    people=("建国", "小林", "思雨", "阿明"),
    lines=(
        Line(0, "思雨", "雨停了以后，有人上去看过吗？"),
        Line(30, "晓月", "我没去过，不过背包已经收拾好了 🎒"),
        Line(
            95,
            "建国",
            "昨天去了。路很好走，这是早上七点的山顶：",
            file=("山顶日出.jpg", VIEW),
            reactions={"😍": ("晓月", "思雨", "小林"), "❤️": ("阿明",)},
        ),
        Line(50, "思雨", "@晓月 你一定要来，大家的咖啡就靠你了。", reply=2),
        Line(420, "阿明", FIND, "markdown"),
        Line(
            65,
            "小林",
            "太好了，这回不会走错路了。",
            edited="太好了，这回建国不会再带我们走错路了。",
            reactions={"😂": ("阿明", "思雨", "晓月")},
        ),
        Line(40, "小林", "", file=("装备清单.pdf", LIST)),
    ),
    read=3,
    elsewhere={
        "读书会": (("阿明", "第九章看完了。"), ("思雨", "千万别说结局！")),
        "菜园": (("小林", "@晓月 李子熟了！"),),
        "合唱团": (),
        "lobby": (),
    },
    directs={"小林": ("我们合住一个帐篷吧？",), "思雨": ()},
    typing="阿明",
    query="早上",
)
