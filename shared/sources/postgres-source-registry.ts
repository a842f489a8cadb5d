import type { Pool } from 'pg';
import type { SourceId } from '#schemas/brand.ts';
import { createQuery } from '#shared/postgres/query.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import { createPostgresWebhookSecrets } from './postgres-webhook-secrets.ts';
import type { SourceRegistry } from './source-directory.ts';
import { sourceSecret, type SourceSecret } from './source-secret.ts';

interface Row { source_id: SourceId; name: string; base_url: string; ca_pem: string | null; client_cert_pem: string | null; allow_addresses: string[]; digest: string }

const SECRETS: readonly SourceSecret[] = ['gitlab-token', 'proxy-url', 'client-key', 'webhook-token', 'signing-token', 'sign-in-secret'];

type Changeable = 'name' | 'token' | 'ca' | 'client' | 'proxy' | 'addresses';

/** Settings in ingress's table `sources`, everything secret in the vault. */
export function createPostgresSourceRegistry({ pool, vault }: { readonly pool: Pool; readonly vault: SecretVault }): SourceRegistry {
  const query = createQuery(pool);
  const { forget: forgetChanged, ...webhooks } = createPostgresWebhookSecrets({ query, vault });

  async function rowOf(source: SourceId): Promise<Row | undefined> {
    return (await query<Row>('select * from sources where source_id = $1', [source]))[0];
  }

  // The same command again, after a crash: what was made at random the first time stays, for GitLab may know it already.
  async function putOnce(name: string, value: string): Promise<void> {
    if ((await vault.get(name)) === undefined) await vault.put(name, value);
  }

  /** Undefined: stays. */
  async function put(source: SourceId, what: Parameters<typeof sourceSecret>[1], value: string | null | undefined): Promise<void> {
    if (value === null) await vault.delete(sourceSecret(source, what));
    else if (value !== undefined) await vault.put(sourceSecret(source, what), value);
  }

  // Each by itself: a change of the name that comes in between must not lose the token that an older change has still to write.
  async function claim(source: SourceId, revision: number, wanted: readonly Changeable[]): Promise<(what: Changeable) => boolean> {
    const rows = await query<{ what: Changeable }>(
      `insert into source_revisions as known (source_id, what, revision) select $1::uuid, unnest($3::text[]), $2::int where exists (select from sources where source_id = $1::uuid)
       on conflict (source_id, what) do update set revision = excluded.revision where known.revision <= excluded.revision returning what`, [source, revision, wanted]);
    const claimed = new Set(rows.map(({ what }) => what));
    return (what) => claimed.has(what);
  }

  return {
    async settings(source) {
      const row = await rowOf(source);
      return row === undefined ? undefined : { sourceId: row.source_id, name: row.name, baseUrl: row.base_url, caPem: row.ca_pem };
    },

    async access(source) {
      const secret = (what: Parameters<typeof sourceSecret>[1]) => vault.get(sourceSecret(source, what));
      const [row, token, proxyUrl, keyPem] = await Promise.all([rowOf(source), secret('gitlab-token'), secret('proxy-url'), secret('client-key')]);
      if (row === undefined || token === undefined) return undefined;
      const { client_cert_pem: certPem } = row;
      // Without its key nobody is let in: better not to ask than to be refused for another reason.
      if (certPem !== null && keyPem === undefined) return undefined;
      return { baseUrl: row.base_url, token, caPem: row.ca_pem ?? undefined, proxyUrl, client: certPem === null || keyPem === undefined ? undefined : { certPem, keyPem }, allowAddresses: row.allow_addresses };
    },

    ...webhooks,

    async save(source) {
      const [row] = await query<Row>(
        `insert into sources (source_id, name, base_url, ca_pem, client_cert_pem, allow_addresses, digest) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (source_id) do update set source_id = excluded.source_id returning digest`,
        [source.sourceId, source.name, source.baseUrl, source.caPem, source.client?.certPem ?? null, source.allowAddresses, source.digest]);
      if (row?.digest !== source.digest) return false;
      await putOnce(sourceSecret(source.sourceId, 'gitlab-token'), source.token);
      if (source.proxyUrl !== null) await putOnce(sourceSecret(source.sourceId, 'proxy-url'), source.proxyUrl);
      if (source.client !== null) await putOnce(sourceSecret(source.sourceId, 'client-key'), source.client.keyPem);
      await putOnce(sourceSecret(source.sourceId, 'webhook-token'), source.webhookToken);
      await putOnce(sourceSecret(source.sourceId, 'signing-token'), source.signingToken);
      return true;
    },

    async change(source, { revision, name, token, caPem, proxyUrl, clientCertPem, clientKeyPem, allowAddresses }) {
      const given: Record<Changeable, unknown> = { name, token, ca: caPem, client: clientCertPem === undefined ? clientKeyPem : clientCertPem, proxy: proxyUrl, addresses: allowAddresses };
      const isOurs = await claim(source, revision, (Object.keys(given) as Changeable[]).filter((what) => given[what] !== undefined));
      if (isOurs('name')) await query('update sources set name = $2 where source_id = $1', [source, name]);
      if (isOurs('ca')) await query('update sources set ca_pem = $2 where source_id = $1', [source, caPem]);
      if (isOurs('addresses')) await query('update sources set allow_addresses = $2 where source_id = $1', [source, allowAddresses]);
      if (isOurs('token')) await put(source, 'gitlab-token', token);
      if (isOurs('proxy')) await put(source, 'proxy-url', proxyUrl);
      if (isOurs('client')) {
        // Key first: a certificate without its key lets nobody in.
        if (clientCertPem !== null) await put(source, 'client-key', clientKeyPem);
        if (clientCertPem !== undefined) await query('update sources set client_cert_pem = $2 where source_id = $1', [source, clientCertPem]);
        if (clientCertPem === null) await put(source, 'client-key', null);
      }
    },

    async forget(source) {
      for (const what of SECRETS) await vault.delete(sourceSecret(source, what));
      await forgetChanged(source);
      await query('delete from sources where source_id = $1', [source]);
      await query('delete from source_checks where source_id = $1', [source]);
      // Identity's, as the secret that belongs to it: nobody signs in by what is known no longer.
      await query('delete from identity_sign_in_settings where source_id = $1', [source]);
    },
  };
}
