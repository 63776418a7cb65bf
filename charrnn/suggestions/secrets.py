"""What looks like a secret, such as a password: it is neither learned nor offered again.

In doubt a word counts as secret: not to learn one costs little.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from charrnn.text.words import WORD

LONGEST = 24  # characters of a word; what is longer is rather a key
LINE = 400  # characters before a place in a text that are looked at
# What stands between white space and is no word of a text: addresses, paths, anything with a digit,
# options of a command such as -ptiger, and a name with what belongs to it such as anna:tiger.
CHUNK = re.compile(r"[@\d\\/_=]|://|www\.|^-+\w|\w:\w", re.IGNORECASE)
# Words for a password, after which one comes without more ado. In scripts without spaces, and where
# words are joined (German, the Nordic languages), they may be part of a longer one.
ALONE = re.compile(
    r"\b(?:pass(?:word|wd|phrase|code|key)s?|pwd?|passwort\w*|login[ -]?data|creds?|credentials?"
    r"|(?:api|access|private|secret|recovery|licen[cs]e)[ -]?(?:key|code|token)s?"
    r"|(?:seed|recovery|mnemonic)[ -]?(?:phrase|words?)|bearer(?! of)|tokens?(?! of)"
    r"|iban|cvv|cvc|ssn|otp|totp|2fa"
    r"|mots? de passe|mdp|contrase[nñ]as?|clave de acceso|senhas?|palavra-passe|parola d.ordine"
    r"|wachtwoord\w*|has[lł]o|has[lł]a|heslo|hesla|jelsz[oó]\w*|parol[aăo]|lozink[aeu]"
    r"|[sş]ifre\w*|salasana\w*|mật khẩu|kata sandi|slaptažod\w*|geslo)\b"
    r"|kennw[oö]rt|l[oö]senord|passord|adgangskode|парол[ьяю]|пин-?код|κωδικ[οό][ςύ]|סיסמ[אה]"
    r"|كلمة (?:السر|المرور)|पासवर्ड|รหัสผ่าน|密码|密碼|口令|パスワード|暗証番号|비밀번호|-----BEGIN",
    re.IGNORECASE,
)
# Words that mean other things too: only with what is said of them at once.
SAID = re.compile(
    r"(?:\b(?:pin|secret|key|login|log-in|user(?:name)?|code|seed|clave|pincode)\b"
    r"(?:\s+(?:for|of|to|on|at|de|du|für|van|для)\b(?:\s+\w+){1,4}?)?)"
    r"\s*(?:[:=]|\b(?:is|was|are|were|ist|war|est|es|era|é|è|jest|är|er|это)\b)",
    re.IGNORECASE,
)
SENTENCE_ENDS = re.compile(r"[.!?](?=\s)")
OPEN_ENDED = re.compile(r"[\s:=-]*(?:\b(?:is|was|are|were|ist|war|est|es|é|è)\b)?[\s:=]*\Z")
# Of Latin letters: each with those that hardly ever follow it in any of 20 languages.
SELDOM = (
    "bcdfghknpqwxz cbdfgjmnpvwx dbkpqx fbcdhjkmnpqvwxz gcfjkpqvwxz hcghjkpqvxz ihjw "
    "jbcfghjklnpqrtvwxyz kbcgjpqxz ljqxz mcdghjkqvwxz nz oq pcdgjknqvwxz "
    "qabcdefghijklmnopqrstvwxyz rqx sjx tbdjqvxz ujquw vbcdfghjklmnpqtvwxz wbcgjmpquvwxyz "
    "xbdfgjklmnqrsvwxyz yghjkqxyz zbcfghjmnpqrstvwx "
)
FOLLOWS_SELDOM = {letters[0]: letters[1:] for letters in SELDOM.split()}
SOME = 6  # letters; a shorter string may be an abbreviation


def public_words(text: str, start: int = 0) -> Iterator[re.Match[str]]:
    """The words of a text that do not look like secrets, from a place in it on, in order."""
    first = max(text.rfind("\n", 0, start) + 1, start - LINE)
    asked = _asks_for_one(text[max(0, first - LINE) : first].rstrip().rpartition("\n")[2])
    for line in re.finditer(r"[^\n]+", text[first:]):
        if not line[0].strip():
            continue
        spans = [(0, len(line[0]))] if asked else _secret_spans(line[0])
        asked = _asks_for_one(line[0])
        begin = first + line.start()
        for chunk in re.finditer(r"\S+", line[0]):
            if CHUNK.search(chunk[0]):
                continue
            for word in WORD.finditer(text, begin + chunk.start(), begin + chunk.end()):
                here = word.start() - begin
                while spans and spans[0][1] <= here:
                    del spans[0]
                secret = len(word[0]) > LONGEST or _is_random(word[0])
                if word.start() >= start and not secret and not (spans and spans[0][0] <= here):
                    yield word


def _named(line: str) -> list[int]:
    """Where words end after which a secret comes, in order."""
    return sorted(match.end() for some in (ALONE, SAID) for match in some.finditer(line))


def _secret_spans(line: str) -> list[tuple[int, int]]:
    """From where to where a line holds secrets: to the end of the sentence."""
    spans = []
    for start in _named(line):
        end = SENTENCE_ENDS.search(line, start)
        spans.append((start, end.end() if end else len(line)))
    return spans


def _asks_for_one(line: str) -> bool:
    """Whether a line ends with what a secret comes after: then it stands on the next one."""
    named = _named(line)
    return bool(named and OPEN_ENDED.match(line[named[-1] :]))


def _is_random(word: str) -> bool:
    """Whether the letters of a word were not chosen by people who would say it."""
    if len(re.findall(r"[a-z][A-Z]", word)) > 1:  # McCoy and NATO are words
        return True
    plain = unicodedata.normalize("NFD", word.lower())
    letters = [c for c in plain if c.isalpha()]
    if not all("a" <= c <= "z" for c in letters) or len(letters) < SOME:
        return False
    seldom = sum(b in FOLLOWS_SELDOM.get(a, "") for a, b in pairwise(letters))
    vowels = sum(c in "aeiouy" for c in letters)
    return seldom > 1 or seldom * len(letters) > 4 * vowels
