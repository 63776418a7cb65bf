"""What looks like a secret, such as a password: it is neither learned nor offered again.

In doubt a word counts as secret: not to learn one costs little.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from charrnn.words import WORD

LONGEST = 24  # characters of a word; what is longer is rather a key
LINE = 400  # characters before a word that are looked at
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
    return (match for match in WORD.finditer(text, start) if not is_secret(match))


def is_secret(word: re.Match[str]) -> bool:
    """Whether a word of a text looks like a secret, by itself or by what stands before it."""
    text, (start, end) = word.string, word.span()
    if end - start > LONGEST or _is_random(word[0]):
        return True
    before = text[max(0, start - LINE) : start]
    after = text[end : end + LINE]
    chunk = re.split(r"\s", before)[-1] + word[0] + re.split(r"\s", after, maxsplit=1)[0]
    if CHUNK.search(chunk):
        return True
    *earlier, line = before.split("\n")
    if _asks_for_one(line, word[0] + after.split("\n")[0]):
        return True
    lines = [some for some in earlier if some.strip()]
    return bool(lines and _asks_for_one(lines[-1]))


def _asks_for_one(line: str, on_line: str | None = None) -> bool:
    """Whether a secret comes after a line, or on it.

    Args:
        on_line: how it goes on; None if the secret would come on the next one.
    """
    whole = line + (on_line or "")
    named = [m for some in (ALONE, SAID) for m in some.finditer(whole) if m.end() <= len(line)]
    if not named:
        return False
    rest = line[max(match.end() for match in named) :]
    return bool(OPEN_ENDED.match(rest)) if on_line is None else not SENTENCE_ENDS.search(rest)


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
