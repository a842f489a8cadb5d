import { emptyTree, formatOf } from '#shared/objects/git-objects.ts';
import type { TreeTotals } from '#shared/objects/object-index.ts';
import { Problem } from '#shared/runtime/problem.ts';
import { joinedPath, segmentsOf, shown } from './path-bytes.ts';
import { receiptHeaders, receiptOf } from './resolve-version.ts';
import { answerUnchanged, rootOf, tagOf, type ContentAsked, type ContentDeps } from './send-content.ts';
import { findPath, typeOf } from './tree-entries.ts';

/** `GET …/stats?path=`: sums over a version or a folder of it, as the scanner left them at its tree: one row, whatever the size. */
export async function sendStats(deps: ContentDeps, { request, response, resolved, path }: ContentAsked): Promise<void> {
  const segments = segmentsOf(path);
  const found = await findPath(deps.trees, rootOf(resolved), segments);
  if (found.kind === 'entry') throw new Problem(404, 'not-a-folder', `${JSON.stringify(path.toString('utf8'))} is a ${typeOf(found.entry)}. …/tree/ of its folder tells size, language and lines of a file.`);
  if (answerUnchanged(request, response, { etag: tagOf(['stats', found.id, receiptOf(deps.epoch, resolved)]), headers: receiptHeaders(deps.epoch, resolved) })) return;
  const finding = found.id === emptyTree(formatOf(found.id)) ? NOTHING : (await deps.index.findings([found.id])).get(found.id)?.finding;
  if (finding?.kind !== 'tree') throw new Problem(503, 'not-scanned', `Nothing is known yet of what is below tree ${found.id}. "tekai status" shows whether the store is whole.`, { retryAfterS: 30 });
  response.json({ receipt: receiptOf(deps.epoch, resolved), ...shown('path', joinedPath(segments)), tree: found.id, files: finding.files, bytes: finding.bytes, languages: languagesOf(finding) });
}

const NOTHING: TreeTotals = { kind: 'tree', files: 0, bytes: 0, languages: {}, counts: {} };

function languagesOf({ languages, counts }: TreeTotals): object[] {
  const all = Object.entries(languages).map(([name, bytes]) => {
    const [files, lines] = counts?.[name] ?? [null, null];
    return { name, files, bytes, lines };
  });
  return all.sort((one, other) => other.bytes - one.bytes || (one.name < other.name ? -1 : 1));
}
