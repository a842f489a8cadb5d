import type { Shape, Shapes } from './probes.ts';

export interface SuiteResult { readonly name: string; readonly state: 'passed' | 'failed' | 'not tried'; readonly why: string | null }

export interface Findings {
  readonly url: string;
  readonly version: string;
  readonly mode: 'read and write' | 'read only';
  readonly at: string;
  readonly real: Shapes;
  readonly simulated: Shapes;
  readonly tests: readonly SuiteResult[];
  /** What went wrong around the tests, and what is left behind. */
  readonly remarks: readonly string[];
}

/** The report, as Markdown: what passed, what did not, and where GitLab answers otherwise than the simulator. */
export function reportOf({ url, version, mode, at, real, simulated, tests, remarks }: Findings): string {
  const of = (state: SuiteResult['state']) => tests.filter((one) => one.state === state);
  const differences = differencesOf(real, simulated);
  return [
    `# GitLab ${version} at ${url}`, '',
    `${at}, ${mode}. ${of('passed').length} tests passed, ${of('failed').length} failed, ${of('not tried').length} not tried. ${differences.length} differences from the simulator.`, '',
    ...section('Remarks', remarks.map((one) => `- ${one}`)),
    ...section('Failed', of('failed').map(({ name, why }) => `- **${name}**\n\n${indented(why ?? '')}`)),
    ...section('Differences from the simulator', differences.length === 0 ? ['None.'] : differences),
    ...section('Limits that GitLab told', limitsOf(real)),
    ...section('Not tried: these need the simulator', of('not tried').map(({ name, why }) => `- ${name}${why === null ? '' : `: ${why}`}`)),
    ...section('Passed', of('passed').map(({ name }) => `- ${name}`)),
  ].join('\n');
}

const section = (title: string, lines: readonly string[]) => (lines.length === 0 ? [] : [`## ${title}`, '', ...lines, '']);
const indented = (text: string) => text.split('\n').slice(0, 20).map((line) => `      ${line}`).join('\n');

/** Status codes, fields and headers, one line each. Values are not compared; null stands for any type. */
export function differencesOf(real: Shapes, simulated: Shapes): string[] {
  return Object.keys(real).flatMap((name) => {
    const [ours, theirs] = [simulated[name], real[name]];
    if (ours === undefined || theirs === undefined) return [];
    const lines: string[] = [];
    if (ours.status !== theirs.status) lines.push(`  - status ${theirs.status}, the simulator ${ours.status}`);
    lines.push(...fieldDifferences(theirs, ours));
    const [only, lacking] = [headerNames(theirs, ours), headerNames(ours, theirs)];
    if (only.length > 0) lines.push(`  - headers only at GitLab: ${only.join(', ')}`);
    if (lacking.length > 0) lines.push(`  - headers only at the simulator: ${lacking.join(', ')}`);
    return lines.length === 0 ? [] : [[`- ${name}`, ...lines].join('\n')];
  });
}

function fieldDifferences(theirs: Shape, ours: Shape): string[] {
  // Another status is another body: its fields say nothing more.
  if (theirs.status !== ours.status) return [];
  const lines: string[] = [];
  // Below a list that is empty, or an object that is null, on the other side nothing can be compared; nor whether a list is empty.
  const isComparable = (path: string, other: Shape) => !path.endsWith('[]') && ancestorsOf(path).every((one) => (other.fields[one] ?? 'null') !== 'null');
  const missing = Object.keys(theirs.fields).filter((path) => ours.fields[path] === undefined && isComparable(path, ours));
  const extra = Object.keys(ours.fields).filter((path) => theirs.fields[path] === undefined && isComparable(path, theirs));
  const retyped = Object.keys(theirs.fields).filter((path) => ours.fields[path] !== undefined && ours.fields[path] !== theirs.fields[path] && ours.fields[path] !== 'null' && theirs.fields[path] !== 'null');
  if (missing.length > 0) lines.push(`  - fields only at GitLab: ${missing.join(', ')}`);
  if (extra.length > 0) lines.push(`  - fields only at the simulator: ${extra.join(', ')}`);
  for (const path of retyped) lines.push(`  - ${path} is a ${theirs.fields[path]}, at the simulator a ${ours.fields[path]}`);
  return lines;
}

/** `list`, `list[]` and `list[].user` of `list[].user.id`. */
function ancestorsOf(path: string): string[] {
  return [...path.matchAll(/\.|\[\]/g)].flatMap(({ index, 0: mark }) => (mark === '.' ? [path.slice(0, index)] : [path.slice(0, index), path.slice(0, index + 2)])).filter((one) => one !== '' && one !== path);
}

/** How many calls are left changes from call to call, and is no difference. */
const headerNames = (one: Shape, other: Shape) => Object.keys(one.headers).filter((name) => other.headers[name] === undefined && !/^ratelimit-/.test(name));

function limitsOf(real: Shapes): string[] {
  const told = new Map<string, string>();
  for (const { headers } of Object.values(real)) for (const [name, value] of Object.entries(headers)) if (/^(?:ratelimit-(?:limit|name)|retry-after)$/.test(name)) told.set(`${name}: ${value}`, `- ${name}: ${value}`);
  return told.size === 0 ? ['None: no answer had a RateLimit header.'] : [...told.values()];
}
