export const SHELLS = ['bash', 'zsh'] as const;
export type Shell = (typeof SHELLS)[number];

/** What `source <(tekai completion bash)` reads. The table is all that it knows; names it asks the program for. */
export function completionScript(shell: Shell, table: readonly string[]): string {
  return `${HEADS[shell]}\n${LOGIC.replace('@TABLE@', () => table.join('\n'))}${TAILS[shell]}`;
}

const HEADS: Readonly<Record<Shell, string>> = {
  bash: '# Completion of tekai for bash: source <(tekai completion bash)',
  zsh: '#compdef tekai\n# Completion of tekai for zsh: source <(tekai completion zsh), behind compinit',
};

/** For both shells: given the words behind "tekai", the last one to be completed, prints what it may become, a line each. */
const LOGIC = `_tekai_table() { cat <<'TABLE'
@TABLE@
TABLE
}
_tekai_candidates() {
  local table at= behind= count=0 word known where kind name value choice
  table=$(_tekai_table)
  while [ $# -gt 1 ]; do
    word=$1 known=
    shift
    if [ -n "$behind" ]; then behind=; continue; fi
    while IFS='|' read -r where kind name value; do
      [ "$name" = "$word" ] || continue
      if [ "$kind" = command ] && [ "$where" = "$at" ] && [ $count -eq 0 ]; then known=1
      elif [ "$kind" = option ] && { [ "$where" = "$at" ] || [ -z "$where" ]; }; then behind=$value; fi
    done <<< "$table"
    if [ -n "$known" ]; then at="\${at:+$at }$word"
    else case $word in -*) ;; *) count=$((count + 1)) ;; esac; fi
  done
  { if [ -n "$behind" ]; then _tekai_values "$behind"; else _tekai_here "$1"; fi; } | while IFS= read -r choice; do
    case $choice in '<file>'|"$1"*) printf '%s\\n' "$choice" ;; esac
  done
}
_tekai_here() {
  while IFS='|' read -r where kind name value; do
    [ "$where" = "$at" ] || continue
    case $kind in
      command) if [ $count -eq 0 ]; then printf '%s\\n' "$name"; fi ;;
      # Each only where it is begun: options would hide the names.
      option) case $1 in -*) printf '%s\\n' "$name" ;; esac ;;
      argument) case $1 in -*) continue ;; esac
        if [ "$name" = "$count" ] || [ "$name" = '*' ]; then _tekai_values "$value"; fi ;;
    esac
  done <<< "$table"
}
_tekai_values() {
  case $1 in
    word) ;;
    file) printf '<file>\\n' ;;
    codebase|source|project) tekai completion names "$1" 2>/dev/null ;;
    *) printf '%s\\n' "$1" | tr ' ' '\\n' ;;
  esac
}
`;

const TAILS: Readonly<Record<Shell, string>> = {
  bash: `_tekai() {
  local line=\${COMP_LINE:0:COMP_POINT} words choice
  read -r -a words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  COMPREPLY=()
  while IFS= read -r choice; do
    if [[ $choice == '<file>' ]]; then compopt -o filenames 2>/dev/null; while IFS= read -r choice; do COMPREPLY+=("$choice"); done < <(compgen -f -- "\${words[@]: -1}")
    else COMPREPLY+=("$(printf '%q' "$choice")"); fi
  done < <(_tekai_candidates "\${words[@]:1}")
}
complete -F _tekai tekai
`,
  zsh: `_tekai() {
  local -a choices
  choices=("\${(@f)$(_tekai_candidates "\${(@)words[2,CURRENT]}")}")
  if [[ $choices == '<file>' ]]; then _files; else compadd -- $choices; fi
}
compdef _tekai tekai
`,
};
