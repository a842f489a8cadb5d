import * as linguist from 'linguist-languages';

/** Where linguist names several languages for one ending, it looks into the file; we take what most repositories mean. */
const MEANT: Readonly<Record<string, string>> = {
  '.asm': 'Assembly', '.bas': 'BASIC', '.bb': 'BitBake', '.cfg': 'INI', '.cl': 'Common Lisp', '.cls': 'TeX', '.cs': 'C#', '.cgi': 'Perl', '.cue': 'CUE', '.d': 'D',
  '.es': 'JavaScript', '.ex': 'Elixir', '.f': 'Fortran', '.fcgi': 'PHP', '.for': 'Fortran', '.frag': 'GLSL', '.fs': 'F#', '.fx': 'HLSL', '.g': 'GAP', '.gd': 'GDScript', '.gml': 'XML',
  '.gs': 'JavaScript', '.h': 'C', '.hh': 'C++', '.html': 'HTML', '.inc': 'PHP', '.json': 'JSON', '.l': 'Lex', '.lean': 'Lean', '.lisp': 'Common Lisp', '.ls': 'LiveScript', '.m': 'Objective-C',
  '.m4': 'M4', '.md': 'Markdown', '.ml': 'OCaml', '.mm': 'Objective-C++', '.mod': 'XML', '.mojo': 'Mojo', '.nu': 'Nushell', '.odin': 'Odin', '.php': 'PHP', '.pl': 'Perl', '.plist': 'XML Property List',
  '.pm': 'Perl', '.pp': 'Puppet', '.properties': 'Java Properties', '.q': 'q', '.r': 'R', '.re': 'Reason', '.res': 'ReScript', '.rs': 'Rust', '.s': 'Assembly', '.sc': 'Scala', '.scm': 'Scheme',
  '.shader': 'ShaderLab', '.sol': 'Solidity', '.spec': 'RPM Spec', '.sql': 'SQL', '.srt': 'SubRip Text', '.st': 'Smalltalk', '.star': 'Starlark', '.t': 'Perl', '.toc': 'TeX', '.tpl': 'Smarty', '.ts': 'TypeScript',
  '.tsx': 'TSX', '.txt': 'Text', '.typ': 'Typst', '.v': 'Verilog', '.vba': 'VBA', '.yaml': 'YAML', '.yml': 'YAML', '.yy': 'Yacc',
};

const byEnding = new Map<string, string>();
const byName = new Map<string, string>();
for (const language of Object.values(linguist) as readonly { name: string; extensions?: readonly string[]; filenames?: readonly string[] }[]) {
  for (const ending of language.extensions ?? []) if (!byEnding.has(ending.toLowerCase())) byEnding.set(ending.toLowerCase(), language.name);
  for (const name of language.filenames ?? []) byName.set(name, language.name);
}
for (const [ending, name] of Object.entries(MEANT)) byEnding.set(ending, name);

/** The language that a file's name speaks of, as linguist names it; null when it says nothing. By name only: cheap, and the same for ever. */
export function languageOf(name: string): string | null {
  const exact = byName.get(name);
  if (exact !== undefined) return exact;
  const lower = name.toLowerCase();
  // Longest ending first: `.d.ts` before `.ts`, should linguist know it.
  for (let dot = lower.indexOf('.'); dot >= 0; dot = lower.indexOf('.', dot + 1)) {
    const found = byEnding.get(lower.slice(dot));
    if (found !== undefined) return found;
  }
  return null;
}
