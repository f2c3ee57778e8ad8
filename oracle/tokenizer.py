"""Tables and golden cases for crates/model/src/tokenizer.

    python oracle/tokenizer.py CONFORMANCE_DIR

Writes, under crates/model/:
- src/tokenizer/merges.txt: the used lines of the public `bpe_simple_vocab_16e6.txt.gz` (from open_clip_torch).
- src/tokenizer/entities.txt: HTML entity names as ftfy knows them, and their code points.
- src/tokenizer/bad_pairs.bin: which pairs of Windows-1252 characters ftfy takes for mojibake.
- tests/golden/tokenizer.json: `cases`: texts with ids from transformers' slow CLIPTokenizer with ftfy; `partial`: mojibake
  that ftfy repairs and lorabake does not, with transformers' ids; `rows`: captions with the ids that sd-scripts
  recorded for them (CONFORMANCE_DIR/open/traces; SD1.x only).
"""

import gzip
import json
import random
import sys
import tempfile
from pathlib import Path

import ftfy
import open_clip
import transformers
from ftfy.badness import is_bad
from ftfy.chardata import HTML_ENTITIES
from safetensors.numpy import load_file
from transformers import AddedToken, CLIPTokenizer
from transformers.models.clip.tokenization_clip import bytes_to_unicode

MODEL = Path(__file__).parent.parent / "crates/model"


def merges():
    path = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    return gzip.open(path).read().decode().split("\n")[1 : 49152 - 256 - 2 + 1]


def clip_tokenizer(lines):
    """As openai/clip-vit-large-patch14 configures it."""
    letters = list(bytes_to_unicode().values())
    vocabulary = letters + [c + "</w>" for c in letters] + ["".join(line.split()) for line in lines]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    assert len(set(vocabulary)) == 49408
    special = {
        name: AddedToken(text, lstrip=False, rstrip=False, normalized=True)
        for name, text in [
            ("bos_token", "<|startoftext|>"),
            ("eos_token", "<|endoftext|>"),
            ("unk_token", "<|endoftext|>"),
        ]
    }
    with tempfile.TemporaryDirectory() as folder:
        vocab_file, merges_file = Path(folder) / "vocab.json", Path(folder) / "merges.txt"
        vocab_file.write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}), encoding="utf-8")
        merges_file.write_text("#version: 0.2\n" + "\n".join(lines) + "\n", encoding="utf-8")
        tokenizer = CLIPTokenizer(
            str(vocab_file),
            str(merges_file),
            pad_token="<|endoftext|>",
            add_prefix_space=False,
            do_lower_case=True,
            model_max_length=77,
            **special,
        )
    assert tokenizer.fix_text is ftfy.fix_text
    return tokenizer


def bad_pairs():
    characters = bytes(range(128, 256)).decode("sloppy-windows-1252")
    rows = (sum(is_bad(a + b) << i for i, b in enumerate(characters)) for a in characters)
    return b"".join(row.to_bytes(16, "little") for row in rows)


TEXTS = [
    # booru tags
    "1girl, solo, long_hair, blue_eyes, smile, looking_at_viewer",
    "hatsune miku (vocaloid), aqua_hair, twintails, >_<, ^_^, :d, ;), =_=, @_@, o_o, \\(^o^)/",
    "saber_(fate/stay_night), ganyu_\\(genshin_impact\\), k/da_(league_of_legends)",
    "masterpiece, best quality, 8k, 1920x1080, (detailed:1.2), [[blurry]], {{{sharp}}}",
    "artist:some_one, rating:general, score_9, score_8_up, year_2023, :3, :<, +_+, |_|, ._.", "kaguya-sama_wa_kokurasetai_~tensai-tachi_no_renai_zunousen~",
    "!!, !?, ?, ..., …, 3d, 2boys, 1.5 girls, 100% real, #hashtag, $5, a&b, a+b=c, a*b, a^b, a|b, ~tilde~, `code`",
    "photo of sks dog --ar 16:9 --v 5", "<lora:some_name:0.8> a cat", "a photo of [name], {a|b}", "BREAK, AND, x AND y",
    # contractions and apostrophes
    "it's a dog's life, they're we've I'm he'll she'd don't 'tis 'twas rock'n'roll o'clock",
    "IT'S DON'T WE'RE YOU'VE I'M THEY'LL HE'D", "’s ‘quoted’ “double” it’s don’t ‛x‟ ʼn ŉ", "''s 's' 'st 'dd 'llama 'retro 'verse 'mmm",
    "'ſ it'ſ ſſ 'ſs", "x's's's", "'", "''", "'''s", "'s", "s'", "!'s", "a'b'c", "'S", "'RE", "' s",
    # digits and numbers of other kinds
    "0123456789", "12345 67890 3.14159 1,000,000 1e-5 0x1F v1.5 sd15 mp3 4k 24fps", "²³¹ ½ ¼ Ⅷ ⅷ ① ② ㊿ ٣٤ ३४ 一二三 〇 𝟘𝟙 ⁴₅ ௰ ༳",
    "1st 2nd 3rd 20th", "a1b2c3", "１２３ ＡＢＣ ａｂｃ！？",
    # special tokens in the text
    "<|startoftext|>", "<|endoftext|>", "a <|startoftext|> b", "a<|endoftext|>b", "<|STARTOFTEXT|> x <|EndOfText|>", "!<|startoftext|>!",
    "!<|STARTOFTEXT|>!", "<|startoftext|><|endoftext|><|startoftext|>", "<|startoftext|", "|startoftext|>", "<|ſtartoftext|>", "<|ſTARTOFTEXT|> a",
    "&amp;<|endoftext|>&amp;", "a\n<|endoftext|>\nb &lt;", "<start_of_text> <end_of_text> </w> <|pad|>", "<|startoftext|>s 's", "it<|endoftext|>'s",
    # html entities
    "tom &amp; jerry", "&lt;b&gt;bold&lt;/b&gt;", "<b>&amp;</b>", "a &amp b", "&amp;amp;amp;", "&quot;quoted&quot; &#39;x&#39; &apos;y&apos;",
    "&#x27; &#X41; &#65; &#0; &#13; &#128; &#x99; &#xD800; &#x110000; &#99999999999999999999; &#59; &#x3b; &#12ab; &#x; &#;",
    "&eacute; &EACUTE; &Eacute; &eAcute; &szlig; &SZLIG; &nbsp; &NBSP; &hellip; &checkmark; &ntilde;&NTILDE;", "&notanentity; & &; &&amp;; &amp;&amp",
    "&CounterClockwiseContourIntegral; &ThisNameIsLongerThanTwentyFour; &xFFFE; &#xFFFE; &#xFDD0; &#x1FFFF;",
    "line one &amp;\nline two < x &amp;\nline three &amp;", "&#160;x&#160;", "&#x1F600; &#128512;", "&fjlig; &NotEqualTilde; &Tab;x&NewLine;y", "R&amp;B, D&amp;D",
    "&lt;|startoftext|&gt;", "&LT; &GT; &AMP; &QUOT; &COPY; &REG; &copy; &reg; &trade; &TRADE;",
    # CJK and other scripts
    "初音ミク、青い髪、ツインテール", "一个女孩，长发，蓝色眼睛。", "안녕하세요 세계, 소녀", "ｱｲｳｴｵ ｶﾞｷﾞ ﾊﾟ ﾊﾞ ﾞ ﾟ", "【東方】霧雨魔理沙「弾幕はパワーだぜ」",
    "カ\u3099 は\u309a が ぱ", "文字化け", "漢字kanji混在mixed文", "𠮷野家 𩸽", "привет мир, девушка", "Ελληνικά ΣΊΣΥΦΟΣ ΟΔΟΣ Σ ΑΣ. ΑΣΒ", "שלום עולם", "مرحبا بالعالم",
    "नमस्ते दुनिया", "สวัสดีชาวโลก", "გამარჯობა ᲒᲐᲛᲐᲠᲯᲝᲑᲐ", "Հայերեն", "ⴰⵎⴰⵣⵉⵖ", "ᏣᎳᎩ Ꮳꮳ", "አማርኛ", "ភាសាខ្មែរ", "မြန်မာ", "தமிழ்", "ᠮᠣᠩᠭᠣᠯ",
    "Việt Nam tiếng Việt", "ﷺ ﷼ ﻼ", "㈱ ㌔ ㍿ ㎏ ㏑",
    # accents, both normal forms
    "café résumé naïve Zoë Ångström", "cafe\u0301 re\u0301sume\u0301 nai\u0308ve Zoe\u0308 A\u030angstro\u0308m", "Ā ā Ē ē Ő ű ș ț ł Ł đ Đ ø Ø æ Æ œ Œ ß ẞ ð þ",
    "q\u0307\u0323 s\u0323\u0307 ḍ̇ a\u0328\u0301", "\u1e9b\u0323 \u212b \u2126 K \u2160", "e\u0301\u0301\u0301", "\u0301a", "a\u0345b !\u0345! \u0345", "Z̷͓̈a̶l̷g̴o̸ t̵e̷x̴t̶", "½ﬃ²℡№™",
    # case
    "İSTANBUL Istanbul ISPARTA ıspanak", "İ", "ŞĞÜÖÇ şğüöç", "STRASSE STRAẞE straße", "ǅ ǆ Ǆ ǈ ǋ ǲ Ĳ ĳ", "MiXeD CaSe TeXT", "ÀÉÎÕÜ", "Ω Å K", "ⓐⒶ ＡＢ", "𝐀𝐁 𝒜 𝔸", "Ԁ Ꞌ Ꞑ",
    # ligatures, widths, quotes
    "ﬂuﬃeﬆ oﬃce ﬁnd ﬀ ﬅ", "ＬＯＵＤ　ＮＯＩＳＥＳ", "「」｢｣ ￥ ￦ ￠ ￤ ￨ ￭ ￮", "„low“ »guillemets« ‹x› ‚y‘ ′prime″ `´", "– — ― ‐ ‑ ‒ − • · ‧ …", "a\u00a0b\u2009c\u3000d\u202fe\u205ff\u1680g\u2003h",
    # emoji
    "😀😃😄 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 ❤️ ☺︎ 🇯🇵🇺🇸 1️⃣ #️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "smile😊face", "🤷‍♀️🤦🏿‍♂️", "★☆♥♡♪♫✓✔✗→←↑↓⇒■□▲△●○◎", "😂😂😂😂😂😂", "🫠🫡🫨🪿", "(╯°□°)╯︵ ┻━┻", "( ͡° ͜ʖ ͡°)", "ಠ_ಠ", "(｡◕‿◕｡)", "¯\\_(ツ)_/¯",
    "(*´▽｀*)", "(´・ω・`)", "(ノಠ益ಠ)ノ彡┻━┻", "m(_ _)m", "ヽ(^o^)丿", "°˖✧◝(⁰▿⁰)◜✧˖°",
    # whitespace and controls
    "", " ", "   ", "\n", "\t", "a  b   c", " lead and trail ", "a\tb\nc\r\nd\re\x0bf\x0cg", "a\u2028b\u2029c\u0085d", "a\x00b\x01c\x1fd\x7fe", "\ufeffbom", "a\u200bb\u200cc\u200dd\u2060e",
    "\u202ertl\u202c \u200flrm\u200e", "a\u00adb soft\u00adhyphen", "\x1b[31mred\x1b[0m \x1b[1;32mx", "\x1b[ \x1b[12 \x1b\x1b[0m", "a\x1c\x1d\x1e\x1fb", "\ufff9a\ufffab\ufffb \ufffc", "\ufffd", "x\ufffdy",
    "\u206aa\u206f", "\u180e x", "\x85\x86 \x93quoted\x94 it\x92s \x80 5", "\x81\x8d\x8f\x90\x9d", "\ue000 \uf8ff \U000f0000", "\U000e0001", "\u0378 \U0003ffff\ufffe",
    # long words
    "a" * 300, "supercalifragilisticexpialidocious" * 4, "!" * 100, "?!" * 40, "-" * 80, "_" * 77, "ああああああああああああああああああああ", "😀" * 30, "ab" * 100, "0" * 90, "'" * 50, "=" * 200, "pneumonoultramicroscopicsilicovolcanoconiosis",
    "https://example.com/path?query=1&amp;x=2#frag", "user@example.com", "C:\\path\\to\\file.png", "/usr/lib/x.so.1", "a_very_long_identifier_with_many_parts_and_123_numbers",
    "hello,world;foo:bar.baz", "(((nested)))", "a.b.c.", "e.g. i.e. etc.", "U.S.A.", "Dr. Mr. Mrs.", "Hello!World?", "one/two\\three", "--flag=value", "<html><body>x</body></html>", "{'json': [1, 2]}", "x²+y²=z²", "∑∫√∞≠≤≥±×÷", "a→b", "50°C", "§5 ¶3 ©2023 ®™",
    # legitimate text near mojibake's characters
    "Ä Ö Ü ä ö ü ß", "RÉSUMÉ® CAFÉ™", "à la carte, déjà vu", "naïve façade", "10 € £5 ¥100 ¢", "«guillemets» „Gänsefüßchen“", "ÅÄÖ åäö ÆØÅ", "¿Qué? ¡Olé!", "Ça va? L’été", "ÎLE, ÊTRE, NOËL", "×2 ±3 ÷4 µm Ωm", "œuvre Œdipe", "ÀÈÌ®", "Ð ð Þ þ",
    "ïŒ", "É‡", "É‚ x", "×²",
    # mojibake, whole line
    "cafÃ©", "sÃ³ cafÃ© naÃ¯ve", "â€œquotedâ€\x9d", "donâ€™t", "â€¦", "Ã¼ber Ã¶l Ã¤", "SÃ£o Paulo", "Ã‰cole", "ðŸ˜€", "ÃƒÂ©", "Ã¢â‚¬Å“double",
    "Â©2023", "Â£5 Â½", "l\xc3\xa9 Ã©tÃ©", "first cafÃ©\nsecond café", "cafÃ© &amp; thÃ©", "Å\x81Ã³dÅº", "ï¼\x88wideï¼\x89", "ï¬\x81ne",
]

# Misread in one piece, as a text editor with the wrong setting would save them.
for sound in ["café", "naïve résumé", "Zoë & Åsa", "“quoted” – don’t…", "文字化け", "こんにちは、世界", "一个女孩，长发", "안녕하세요", "привет мир", "Ελλάδα"] + [
    "שלום", "สวัสดี", "😀 smile", "★ star ♥", "1girl, blue_eyes, ♀", "Łódź Kraków", "Dvořák", "5 € × 3", "ﬁne ﬂower", "São João", "Ãngela", "™ ® ©", "ÄÖÜß äöü",
    "½ ¼ ²", "→ ←", "ｗｉｄｅ", "Đặng Việt", "नमस्ते", "مرحبا", "İstanbul ığüş",
]:
    TEXTS += [sound.encode().decode("latin-1"), sound.encode().decode("sloppy-windows-1252")]

# ftfy repairs these, lorabake leaves them: other code pages, parts of lines, lost characters, spaces for U+00A0, and what three
# characters give away but no two. The first two are nothing to repair: ftfy spoils them.
PARTIAL = [
    "Ãngela São João Â ÃO", "Ñ»a", "æ\x96\x87å\xad\x97åŒ–ã\x81‘",
    "cafÃ© 文字", "voilÃ le travail", "Ã la mode", "â€œ like this â€\ufffd", "вЂњquotedвЂќ", "caf√©", "╨┐╤Ç╨╕╨▓╨╡╤é", "hello ðŸ˜€ 世界", "ГўВЂВњ x", "Ĺ‚Ăłd",
    "\u201cqui\u0102\u0160n\u201d \xe2\x80\x94", "donâ€™t – “x” ā", "\xed\xa0\xbd\xed\xb8\x80",
]


def combinations(count):
    """Random tag lists out of all kinds of pieces."""
    draw = random.Random(20240607)
    words = [w for text in TEXTS for w in text.split() if not is_bad(w)] + "a girl with red hair standing in the rain at night".split()
    separators = [", ", " ", ",", "_", "", "\n", ". ", " & "]
    for _ in range(count):
        pieces = [draw.choice(words)[:24] for _ in range(draw.randint(1, 9))]
        text = pieces[0] + "".join(draw.choice(separators) + piece for piece in pieces[1:])
        # Mixtures of mojibake and other text are the subject of PARTIAL.
        if not is_bad(text):
            yield text


def recorded_rows(pack):
    """(max_token_length, caption) -> rows, from all traces of SD1.x."""
    seen = {}
    for folder in sorted((pack / "open/traces").iterdir()):
        meta = json.loads((folder / "meta.json").read_text())
        if not meta["model"].startswith("sd15"):
            continue
        lengths = [arg.split("=")[1] for arg in meta["args"] if arg.startswith("--max_token_length=")]
        length = int(lengths[0]) if lengths else 75
        tensors = load_file(folder / "trace.safetensors")
        for step in meta["micro_steps"]:
            for caption, name in zip(step["captions"], step["input_ids_0"], strict=True):
                rows = tensors[name].tolist()
                assert seen.setdefault((length, caption), rows) == rows
    return [{"max_token_length": n, "text": text, "rows": rows} for (n, text), rows in sorted(seen.items())]


def main():
    lines = merges()
    source = MODEL / "src/tokenizer"
    source.joinpath("merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = sorted(HTML_ENTITIES.items())
    codes = (f"{name[1:-1]} {'+'.join(f'{ord(c):x}' for c in text)}\n" for name, text in names)
    source.joinpath("entities.txt").write_text("".join(codes))
    source.joinpath("bad_pairs.bin").write_bytes(bad_pairs())

    tokenizer = clip_tokenizer(lines)
    case = lambda text: {"text": text, "ids": tokenizer(text).input_ids[1:-1]}  # noqa: E731
    texts = list(dict.fromkeys(TEXTS + list(combinations(500))))
    golden = {
        "versions": {"transformers": transformers.__version__, "ftfy": ftfy.__version__},
        "cases": [case(text) for text in texts],
        "partial": [case(text) for text in PARTIAL],
        "rows": recorded_rows(Path(sys.argv[1])),
    }
    path = MODEL / "tests/golden/tokenizer.json"
    body = ",\n".join(f'"{k}": [\n' + ",\n".join(map(json.dumps, v)) + "\n]" for k, v in golden.items() if k != "versions")
    path.write_text('{"versions": ' + json.dumps(golden["versions"]) + ",\n" + body + "}\n")
    print(path.stat().st_size, {k: len(v) for k, v in golden.items()})


if __name__ == "__main__":
    main()
