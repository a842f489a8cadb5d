import type { SourceId } from '#schemas/brand.ts';
import type { Query } from '#shared/postgres/query.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import { newSigningToken, newWebhookToken } from './new-webhook-secrets.ts';
import { FORMER_SECRETS_HOURS, type SourceRegistry } from './source-directory.ts';
import { sourceSecret } from './source-secret.ts';

const WEBHOOK_SECRETS = ['webhook-token', 'signing-token'] as const;
type What = (typeof WEBHOOK_SECRETS)[number];

/** Beside the ones before: whoever changes them five times within a day leaves webhooks behind that have the first. A delivery is compared with each. */
const OLDER_MAX = 3;

interface ChangedSecrets { revision: number; former_revision: number | null; older_revisions: (number | null)[]; changed_at: Date; is_former_good: boolean }

/** Which of a source's webhook secrets are good: ingress's table `webhook_secrets` says, the vault has them. */
export function createPostgresWebhookSecrets({ query, vault }: { readonly query: Query; readonly vault: SecretVault }): Pick<SourceRegistry, 'webhookSecrets' | 'renewWebhookSecrets' | 'dropFormerSecrets' | 'forget'> {
  async function changedSecrets(source: SourceId): Promise<ChangedSecrets | undefined> {
    return (await query<ChangedSecrets>('select revision, former_revision, older_revisions, changed_at, is_former_good from webhook_secrets where source_id = $1', [source]))[0];
  }

  const isKnown = async (source: SourceId) => (await query('select from sources where source_id = $1', [source])).length > 0;

  async function forgetOf(source: SourceId, revision: number | null): Promise<void> {
    for (const what of WEBHOOK_SECRETS) await vault.delete(sourceSecret(source, what, revision));
  }

  // The same command again, after a crash: what was made at random the first time stays.
  async function makeOnce(name: string, make: () => string): Promise<void> {
    if ((await vault.get(name)) === undefined) await vault.put(name, make());
  }

  return {
    async webhookSecrets(source) {
      const changed = await changedSecrets(source);
      const revisions = changed === undefined ? [null] : [changed.revision, ...(changed.is_former_good ? formersOf(changed) : [])];
      const all = (what: What) => Promise.all(revisions.map((revision) => vault.get(sourceSecret(source, what, revision))));
      const [tokens, signingTokens] = (await Promise.all([all('webhook-token'), all('signing-token')])).map((found) => found.filter((one) => one !== undefined));
      if (tokens === undefined || signingTokens === undefined || tokens.length + signingTokens.length === 0) return undefined;
      return { tokens, signingTokens, ...(changed === undefined ? {} : { revision: changed.revision }), ...(changed?.is_former_good === true ? { formerUntil: untilOf(changed) } : {}) };
    },

    async renewWebhookSecrets(source, { revision, at }) {
      const before = await changedSecrets(source);
      // Told again after a crash, or behind a newer change: what was made for it stays what it is.
      if (!(await isKnown(source)) || (before !== undefined && before.revision >= revision)) return;
      await makeOnce(sourceSecret(source, 'webhook-token', revision), newWebhookToken);
      await makeOnce(sourceSecret(source, 'signing-token', revision), newSigningToken);
      // Some webhook may have any that are good still: GitLab has not been told everywhere, and by hand it takes a day.
      const formers = before === undefined ? [] : formersOf(before);
      const older = before?.is_former_good === true && at < untilOf(before) ? formers.slice(0, OLDER_MAX) : [];
      for (const gone of formers.slice(older.length)) await forgetOf(source, gone);
      await query(
        `insert into webhook_secrets as known (source_id, revision, former_revision, older_revisions, changed_at, is_former_good) values ($1, $2, null, $4, $3, true)
         on conflict (source_id) do update set revision = excluded.revision, former_revision = known.revision, older_revisions = excluded.older_revisions, changed_at = excluded.changed_at, is_former_good = true where known.revision < excluded.revision`,
        [source, revision, at, older]);
    },

    async dropFormerSecrets(source, revision) {
      const [dropped] = await query<ChangedSecrets>('update webhook_secrets set is_former_good = false where source_id = $1 and revision = $2 returning *', [source, revision]);
      if (dropped !== undefined) for (const gone of formersOf(dropped)) await forgetOf(source, gone);
    },

    async forget(source) {
      const changed = await changedSecrets(source);
      if (changed !== undefined) for (const revision of [changed.revision, ...formersOf(changed)]) await forgetOf(source, revision);
    },
  };
}

const formersOf = ({ former_revision: former, older_revisions: older }: ChangedSecrets) => [former, ...older];
const untilOf = ({ changed_at: at }: ChangedSecrets) => new Date(at.getTime() + FORMER_SECRETS_HOURS * 3_600_000);
