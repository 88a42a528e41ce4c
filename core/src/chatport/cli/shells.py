"""How each shell is told what may stand at the cursor: the script that asks, and the words of the answer.

The answer's first line is `files`, for whatever the shell knows of files, or `words`. In each line behind it stands a
candidate, for zsh and fish a tab and a line of help behind it. Nothing in a candidate is ever run or expanded: bash
gets it quoted, and inserts it as it stands; zsh and fish quote by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from click.shell_completion import CompletionItem

__all__ = ["SCRIPTS", "SHELLS", "answer", "words_of_line"]

SHELLS = ("bash", "zsh", "fish")

_BASH = r"""# chatport for bash. In ~/.bashrc: eval "$(chatport completions bash)"
_chatport_completions() {
    local line kind=""
    COMPREPLY=()
    while IFS= read -r line; do
        if [ -z "$kind" ]; then
            kind=$line
        else
            COMPREPLY[${#COMPREPLY[@]}]=$line
        fi
    done < <("$1" completions bash -- "$COMP_WORDBREAKS" "${COMP_LINE:0:$COMP_POINT}" 2>/dev/null)
    if [ "$kind" = words ] && type compopt >/dev/null 2>&1; then
        compopt +o default +o bashdefault
    fi
}
complete -o nospace -o bashdefault -o default -F _chatport_completions chatport
"""

_ZSH = r"""#compdef chatport
# chatport for zsh. In ~/.zshrc, after compinit: eval "$(chatport completions zsh)"
_chatport() {
    local line kind="" value tab=$'\t'
    local -a ended open ended_help open_help
    while IFS= read -r line; do
        if [[ -z $kind ]]; then
            kind=$line
            continue
        fi
        value=${line%%$tab*}
        if [[ $value == *[:=] ]]; then
            open+=("$value"); open_help+=("${line/$tab/  -- }")
        else
            ended+=("$value"); ended_help+=("${line/$tab/  -- }")
        fi
    done < <("${(Q)words[1]}" completions zsh -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    if [[ $kind != words ]]; then
        _files
        return
    fi
    (( ${#ended} )) && compadd -l -d ended_help -a ended
    (( ${#open} )) && compadd -l -S '' -d open_help -a open
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _chatport "$@"
else
    compdef _chatport chatport
fi
"""

_FISH = r"""# chatport for fish. In ~/.config/fish/completions/chatport.fish: chatport completions fish | source
function __chatport_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct | string unescape)
    or set current (commandline -ct | string trim -l -c '\'"')
    set -l lines ($words[1] completions fish -- $words[2..-1] "$current" 2>/dev/null)
    if test "$lines[1]" = words
        test (count $lines) -gt 1; and printf '%s\n' $lines[2..-1]
    else
        __fish_complete_path $current
    end
end
complete -c chatport -e
complete -c chatport -f -a '(__chatport_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def answer(shell: str, items: Sequence[CompletionItem], cut: int = 0, quote: str = "") -> Iterator[str]:
    """Give the lines of an answer.

    For bash, `cut` is how many characters of each candidate it has set aside, and `quote` the mark inside of which the
    word stands.
    """
    if any(item.type in ("file", "dir") for item in items):
        yield "files"
        return
    yield "words"
    for item in items:
        if not item.value.isprintable():
            continue  # a name that could not be typed
        if shell == "bash" and quote:
            if not set(item.value) & set(_SPECIAL[quote]):  # there is no way to write such a name inside of them
                yield item.value
        elif shell == "bash":
            yield quoted(item.value[cut:]) + ("" if item.value.endswith((":", "=")) else " ")
        else:
            help_ = (item.help or "").replace("\t", " ").replace("\n", " ")
            yield f"{item.value}\t{help_}" if help_ else item.value


_SPECIAL = {"'": "'", '"': '"$`\\!'}


def quoted(text: str) -> str:
    """Return a word with a backslash before all that a shell would read in its own way."""
    return re.sub(r"[^\w./:@%+=,^-]", r"\\\g<0>", text)


def words_of_line(line: str) -> tuple[list[str], str]:
    """Return the words of a line of bash as far as it is typed, and the quote that is open at its end.

    The words are without quotes; the last one may be empty.

    What has to be run or expanded to be known (`$x`, backquotes) stays as it stands.
    """
    words, word, quote, is_word = list[str](), "", "", False
    characters = iter(line)
    for character in characters:
        if quote:
            if character == quote:
                quote = ""
            elif character == "\\" and quote == '"':
                word += next(characters, "")
            else:
                word += character
        elif character in "'\"":
            quote, is_word = character, True
        elif character == "\\":
            word, is_word = word + next(characters, ""), True
        elif character in " \t\n":
            if is_word:
                words.append(word)
            word, is_word = "", False
        elif character in "|&;(":  # another command begins
            words, word, is_word = [], "", False
        else:
            word, is_word = word + character, True
    return [*words, word], quote
