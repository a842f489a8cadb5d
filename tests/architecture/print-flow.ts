import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { DIAGRAM_FILE, diagramOf, withDiagram } from './flow-diagram.ts';
import { loadFlows } from './flows.ts';
import { read, root } from './source-files.ts';

// `npm run flow` prints the data flow; with --write it goes between the markers of docs/architecture.md.

const flows = await loadFlows();
if (process.argv.includes('--write')) {
  const text = withDiagram(read(DIAGRAM_FILE), flows);
  if (text === undefined) throw new Error(`${DIAGRAM_FILE} needs a line <!-- flow:begin --> and, below it, a line <!-- flow:end -->, once each`);
  writeFileSync(path.join(root, DIAGRAM_FILE), text);
} else process.stdout.write(diagramOf(flows));
