import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import type { MigrateBlobsRequest, ReplayMode } from '../cli.ts';
import { CliError, EXIT } from '../exit-codes.ts';

interface ReplayFlags { readonly verify?: true; readonly switch?: true; readonly at?: string; readonly port?: string; readonly json?: true }
interface TopicsFlags { readonly partitions?: string; readonly replication?: string; readonly retentionDays?: string; readonly json?: true }
interface BlobsFlags { readonly to?: string; readonly from?: string; readonly check?: true; readonly delete?: true; readonly json?: true }
interface VerifyFlags { readonly ref?: string; readonly at?: string; readonly json?: true }

/** Commands that work on the engine's stores, and so on its machine: they ask no API, and the engine need not run. */
export function addCommandsBeside(program: Command, context: CliContext): void {
  const { options } = context;
  program.command('replay')
    .description('fold the log anew, beside the engine or without one, on the engine\'s machine')
    .option('--verify', 'compare what comes of it with the live read models; ends with 1 when they differ')
    .option('--switch', 'make what comes of it the live read models')
    .option('--at <moment>', 'answer questions about what was known at a position or a time, until Ctrl-C')
    .option('--port <port>', 'with --at: where to answer (default: any that is free)')
    .option('--json', 'for programs')
    .action(async (flags: ReplayFlags) => { context.exitCode = await options.replay(modeOf(flags)); });
  program.command('verify').argument('<codebase>', 'its id, its path at GitLab, or an end of the path that no other has')
    .description('read a version out of its packs and recompute the id of every commit, folder and file in it, on the engine\'s machine; ends with 1 when one is damaged')
    .option('--ref <ref>', 'a branch, tag or full ref (default: the default branch)')
    .option('--at <moment>', 'as it was at a commit, a position or a time')
    .option('--json', 'for programs')
    .action(async (codebase: string, { ref, at, json }: VerifyFlags) => { context.exitCode = await options.verify({ codebase, ref, at, json: json === true }); });
  program.command('migrate-log')
    .description('take the facts from the database into the EventStoreDB that TEKAI_EVENTSTORE_URL names, and all places of consumers with them; the engine must be stopped')
    .option('--json', 'for programs')
    .action(async ({ json }: { readonly json?: true }) => { context.exitCode = await options.migrateLog({ json: json === true }); });
  program.command('blobs').description('the packs and findings of the engine')
    .command('migrate')
    .description('copy all packs and findings between the store of the engine\'s settings and another, while the engine runs; stopped or killed, the same command goes on')
    .option('--to <store>', 'the other store: an address as TEKAI_BLOBS_URL has it, or "disk" for the state folder')
    .option('--from <store>', 'the store that the engine used before')
    .option('--check', 'read also what is there already, and write anew what is damaged')
    .option('--delete', 'with --from: delete there what was read back here')
    .option('--json', 'for programs')
    .action(async (flags: BlobsFlags) => { context.exitCode = await options.migrateBlobs(blobsRequestOf(flags)); });
  addSecretsCommands(program, context);
  program.command('topics').description('the topics that the engine uses in Kafka')
    .command('apply')
    .description('make the topics in the Kafka of TEKAI_KAFKA_URL, or check that they are as they must be; a second time it changes nothing')
    .option('--partitions <count>', 'how many workers may share the work at most; never changed later (default: 24)')
    .option('--replication <count>', 'copies of each record (default: 3, or as many as there are brokers)')
    .option('--retention-days <days>', 'how long facts stay in Kafka; in the log they stay for ever (default: 7)')
    .option('--json', 'for programs')
    .action(async ({ partitions, replication, retentionDays, json }: TopicsFlags) => {
      context.exitCode = await options.topics({
        partitions: countOf('--partitions', partitions, 1_000), replication: countOf('--replication', replication, 9),
        retentionDays: countOf('--retention-days', retentionDays, 3_650), json: json === true,
      });
    });
}

function addSecretsCommands(program: Command, context: CliContext): void {
  const { options } = context;
  const secrets = program.command('secrets').description('the keys that tokens and other secrets are enciphered with, on the engine\'s machine');
  secrets.command('keys')
    .description('which keys there are, what each enciphers, which process has which, and how far a change of them is')
    .option('--json', 'for programs')
    .action(async ({ json }: { readonly json?: true }) => { context.exitCode = await options.secrets({ kind: 'keys', json: json === true }); });
  secrets.command('rotate-key')
    .description('have a new key encipher everything, while the engine runs; stopped or killed, the same command goes on')
    .option('--json', 'for programs')
    .action(async ({ json }: { readonly json?: true }) => { context.exitCode = await options.secrets({ kind: 'rotate-key', json: json === true }); });
  secrets.command('drop-key').argument('<key>', 'its name, as "tekai secrets keys" shows it')
    .description('take a key that enciphers nothing any more out of the key file')
    .option('--json', 'for programs')
    .action(async (keyId: string, { json }: { readonly json?: true }) => { context.exitCode = await options.secrets({ kind: 'drop-key', keyId: keyIdOf(keyId), json: json === true }); });
}

/** Whoever gives the key itself does not want to read it again. @throws CliError */
function keyIdOf(text: string): string {
  if (/^[0-9a-f]{16}$/.test(text)) return text;
  throw new CliError(EXIT.usage, 'That is not the name of a key: it has 16 hexadecimal digits, and "tekai secrets keys" shows it. It is never the key itself.');
}

/** @throws CliError */
function countOf(flag: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= most) return Number(text);
  throw new CliError(EXIT.usage, `${flag} ${text} is not a whole number from 1 to ${most}.`);
}

/** @throws CliError */
function blobsRequestOf({ to, from, check, delete: isDelete, json }: BlobsFlags): MigrateBlobsRequest {
  if ((to === undefined) === (from === undefined)) throw new CliError(EXIT.usage, 'Say which way: "tekai blobs migrate --to <store>" before the engine is told of that store, "--from <store>" afterwards, for what was written meanwhile.');
  if (isDelete === true && from === undefined) throw new CliError(EXIT.usage, '--delete goes with --from only: of the store that the settings name nothing is deleted.');
  return { way: to === undefined ? 'from' : 'to', other: (to ?? from)!, isChecked: check === true, isEmptied: isDelete === true, json: json === true };
}

/** @throws CliError */
function modeOf({ verify, switch: isSwitch, at, port, json }: ReplayFlags): ReplayMode {
  if ([verify, isSwitch, at].filter((one) => one !== undefined).length !== 1) {
    throw new CliError(EXIT.usage, 'Say what for: "tekai replay --verify" proves the read models, "tekai replay --switch" replaces them, "tekai replay --at <position or time>" opens the past for questions.');
  }
  if (port !== undefined && at === undefined) throw new CliError(EXIT.usage, '--port goes with --at only: nothing else answers questions.');
  return at === undefined ? { kind: verify === true ? 'verify' : 'switch', json: json === true } : { kind: 'at', moment: at, port: portOf(port), json: json === true };
}

function portOf(text = '0'): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new CliError(EXIT.usage, `--port ${text} is not a whole number from 0 to 65535.`);
}
