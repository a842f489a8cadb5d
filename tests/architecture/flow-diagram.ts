import { FACTS } from '#schemas/events/facts.ts';
import type { Flow } from '#shared/runtime/flow.ts';
import { edgesOf } from './flows.ts';

export const DIAGRAM_FILE = 'docs/architecture.md';
const BEGIN = '<!-- flow:begin -->';
const END = '<!-- flow:end -->';

/** The text between the markers replaced by the diagram; undefined when the markers are not there, once each and in order. */
export function withDiagram(text: string, flows: ReadonlyMap<string, Flow>): string | undefined {
  const [before, rest, ...more] = text.split(BEGIN);
  const [, after, ...still] = (rest ?? '').split(END);
  if (before === undefined || after === undefined || more.length > 0 || still.length > 0) return undefined;
  return `${before}${BEGIN}\n${diagramOf(flows)}${END}${after}`;
}

/** What goes from whom to whom over the log, as a picture and as a table. */
export function diagramOf(flows: ReadonlyMap<string, Flow>): string {
  return ['', '```mermaid', 'flowchart LR', ...picture(flows).map((line) => `  ${line}`), '```', '', ...table(flows), '', ''].join('\n');
}

const eatsAll = ({ consumes }: Flow) => consumes.length === FACTS.length;

function picture(flows: ReadonlyMap<string, Flow>): string[] {
  const arrows = new Map<string, string[]>();
  for (const { from, to, type, isLoop } of edgesOf(flows)) {
    const reader = flows.get(to);
    if (reader === undefined || eatsAll(reader)) continue;
    const arrow = `${from} ${isLoop ? '-.->' : '-->'} ${to}`;
    arrows.set(arrow, [...(arrows.get(arrow) ?? []), type]);
  }
  const lines = [...arrows].map(([arrow, types]) => arrow.replace(/(--?>|-\.->) /, (line) => `${line.trim()}|${types.join('<br>')}| `));
  const readers = [...flows].filter(([, flow]) => eatsAll(flow)).map(([name]) => name);
  return readers.length === 0 ? lines : [...lines, `log[(every fact)] --> ${readers.join(' & ')}`];
}

function table(flows: ReadonlyMap<string, Flow>): string[] {
  const listed = (names: readonly string[]) => (names.length === 0 ? '–' : names.map((name) => `\`${name}\``).join(', '));
  const rows = [...flows].map(([name, flow]) => `| ${name} | ${eatsAll(flow) ? 'every fact' : listed(flow.consumes)} | ${listed(flow.emits)} | ${listed(flow.reads)} |`);
  return ['| service | eats | emits | reads of others |', '| --- | --- | --- | --- |', ...rows];
}
