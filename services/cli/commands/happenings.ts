import type { Command } from 'commander';
import type { DeliverySummary } from '#schemas/api/deliveries.ts';
import { describeFact, shortId, shortRef } from '#shared/api-client/describe-fact.ts';
import { flagsOf, withCommonFlags } from '../connection-flags.ts';
import type { CliContext } from '../context.ts';
import { findCodebase, findSource } from '../find-named.ts';
import { ageInWords, bytesInWords, printable, table } from '../plain-text.ts';
import { limitOf } from '../whole-number.ts';

interface Period { readonly since?: string; readonly until?: string; readonly limit: string }

/** What happened: syncs, deliveries, facts. */
export function addHappeningCommands(program: Command, context: CliContext): void {
  addSyncs(program, context);
  addDeliveries(program, context);
  addEvents(program, context);
}

function withPeriod(command: Command): Command {
  return command.option('--since <time>', 'from this time on, such as 2026-01-31T12:00:00Z').option('--until <time>', 'before this time').option('--limit <n>', 'how many', '20');
}

function addSyncs(program: Command, context: CliContext): void {
  const syncs = withPeriod(program.command('syncs').argument('[codebase]', 'its id, or the end of its GitLab path').description('what became of pushes and commands, the latest first')
    .option('--ref <ref>', 'of one ref, or of a pattern such as release/*').option('--state <states>', 'waiting, fetched, scanned, stored, skipped, deleted, failed; several with commas'));
  withCommonFlags(syncs).action(async (named: string | undefined, { limit, ...filter }: Period & { ref?: string; state?: string }) => {
    const { json, ...connection } = flagsOf(syncs);
    const client = context.connect(connection);
    const codebase = named === undefined ? undefined : (await findCodebase(client, named)).id;
    const found = await client.syncs({ ...filter, codebase, limit: limitOf(limit) });
    if (json === true) return context.printJson(found);
    if (found.length === 0) return context.note('There is none.');
    const now = context.options.now();
    await context.output.print(table(['ID', 'REF', 'STATE', 'COMMIT', 'BEGAN', 'TOOK', 'WHY'], found.map((one) => [
      one.id, shortRef(one.ref), one.state, one.commit === null ? '-' : shortId(one.commit), ageInWords(one.begunAt, now),
      one.endedAt === null ? '-' : `${Date.parse(one.endedAt) - Date.parse(one.begunAt)} ms`, [one.reason, one.detail].filter((part) => part !== null).join(': '),
    ])));
  });
}

function addDeliveries(program: Command, context: CliContext): void {
  const deliveries = program.command('deliveries').description('what GitLab sent');
  const list = withPeriod(deliveries.command('ls', { isDefault: true }).argument('[codebase]', 'its id, or the end of its GitLab path').description('the latest first')
    .option('--source <source>', 'of one GitLab').option('--kind <kinds>', 'push, ignored, hinted; several with commas'));
  withCommonFlags(list).action(async (named: string | undefined, { limit, source, ...filter }: Period & { source?: string; kind?: string }) => {
    const { json, ...connection } = flagsOf(list);
    const client = context.connect(connection);
    const codebase = named === undefined ? undefined : (await findCodebase(client, named)).id;
    const sourceId = source === undefined ? undefined : (await findSource(client, source)).id;
    const [found, max]: [DeliverySummary[], number] = [[], limitOf(limit)];
    for await (const one of client.deliveries({ ...filter, codebase, source: sourceId })) if (found.push(one) >= max) break;
    if (json === true) return context.printJson(found);
    if (found.length === 0) return context.note('There is none.');
    const now = context.options.now();
    await context.output.print(table(['ID', 'CAME', 'KIND', 'SIZE', 'ABOUT'], found.map((one) => [one.id, ageInWords(one.receivedAt, now), one.kind, bytesInWords(one.body.bytes), aboutOf(one)])));
  });

  const show = deliveries.command('show').argument('<id>', 'as "tekai deliveries" shows it').description('one delivery: what it was understood as, and what it led to')
    .option('--body', 'the raw bytes that came, while they are kept');
  withCommonFlags(show).action(async (id: string, { body }: { body?: boolean }) => {
    const { json, ...connection } = flagsOf(show);
    const client = context.connect(connection);
    if (body === true) return context.output.print(await client.deliveryBody(id));
    const delivery = await client.delivery(id);
    if (json === true) return context.printJson(delivery);
    const now = context.options.now();
    const headers = Object.entries(delivery.kept?.headers ?? {});
    await context.output.print(`${delivery.id}\n${delivery.kind}, ${ageInWords(delivery.receivedAt, now)}, ${bytesInWords(delivery.body.bytes)}: ${printable(aboutOf(delivery))}\n`);
    if (headers.length > 0) await context.output.print(`\n${table(['HEADER', 'VALUE'], headers)}`);
    if (delivery.syncs.length > 0) await context.output.print(`\n${table(['SYNC', 'REF', 'STATE', 'COMMIT'], delivery.syncs.map((one) => [one.id, shortRef(one.ref), one.state, one.commit === null ? '-' : shortId(one.commit)]))}`);
    context.note(delivery.kept === null ? 'The request itself is no longer kept.' : 'The raw bytes: --body');
  });
}

function aboutOf({ kind, refs, reason, about, event }: DeliverySummary): string {
  switch (kind) {
    case 'push': return refs.length === 0 ? 'every followed ref' : refs.map((one) => `${shortRef(one.ref)} → ${one.after === null ? '?' : shortId(one.after)}`).join(', ');
    case 'ignored': return reason ?? '';
    case 'hinted': return `${about ?? ''}: ${event ?? ''}`;
    default: return kind satisfies never;
  }
}

function addEvents(program: Command, context: CliContext): void {
  const events = program.command('events').argument('[codebase]', 'its id, or the end of its GitLab path').description('the facts, oldest first')
    .option('--type <types>', 'such as push.received; several with commas').option('--stream <name>', 'of one stream')
    .option('--after <position>', 'behind this position').option('--until <position or time>', 'up to there').option('--limit <n>', 'how many', '100');
  withCommonFlags(events).action(async (named: string | undefined, { limit, ...filter }: { type?: string; stream?: string; after?: string; until?: string; limit: string }) => {
    const { json, ...connection } = flagsOf(events);
    const client = context.connect(connection);
    const key = named === undefined ? undefined : (await findCodebase(client, named)).id;
    const page = await client.events({ ...filter, key, limit: limitOf(limit) });
    if (json === true) return context.printJson(page);
    await context.output.print(table(['TIME', 'TYPE', 'KEY', 'WHAT'], page.events.map(({ time, type, key: of, data }) => [time, type, of, describeFact(type, data)])));
    if (page.next !== null) context.note(`There are more: --after ${page.next}`);
  });
}
