import type { Pool } from 'pg';
import type { SourceId } from '#schemas/brand.ts';
import { createQuery } from '#shared/postgres/query.ts';
import type { SecretVault } from '#shared/secrets/secret-vault.ts';
import type { SourceRegistry } from './source-directory.ts';

interface Row { source_id: SourceId; name: string; base_url: string; ca_pem: string | null; client_cert_pem: string | null; digest: string }

const SECRETS = ['gitlab-token', 'proxy-url', 'client-key', 'webhook-token', 'signing-token'] as const;
const secretName = (source: SourceId, what: typeof SECRETS[number]) => `source/${source}/${what}`;

/** Settings in ingress's table `sources`, everything secret in the vault. */
export function createPostgresSourceRegistry({ pool, vault }: { readonly pool: Pool; readonly vault: SecretVault }): SourceRegistry {
  const query = createQuery(pool);

  async function rowOf(source: SourceId): Promise<Row | undefined> {
    return (await query<Row>('select * from sources where source_id = $1', [source]))[0];
  }

  // The same command again, after a crash: what was made at random the first time stays, for GitLab may know it already.
  async function putOnce(name: string, value: string): Promise<void> {
    if ((await vault.get(name)) === undefined) await vault.put(name, value);
  }

  return {
    async settings(source) {
      const row = await rowOf(source);
      return row === undefined ? undefined : { sourceId: row.source_id, name: row.name, baseUrl: row.base_url, caPem: row.ca_pem };
    },

    async access(source) {
      const secret = (what: Parameters<typeof secretName>[1]) => vault.get(secretName(source, what));
      const [row, token, proxyUrl, keyPem] = await Promise.all([rowOf(source), secret('gitlab-token'), secret('proxy-url'), secret('client-key')]);
      if (row === undefined || token === undefined) return undefined;
      const { client_cert_pem: certPem } = row;
      // Without its key nobody is let in: better not to ask than to be refused for another reason.
      if (certPem !== null && keyPem === undefined) return undefined;
      return { baseUrl: row.base_url, token, caPem: row.ca_pem ?? undefined, proxyUrl, client: certPem === null || keyPem === undefined ? undefined : { certPem, keyPem } };
    },

    async webhookSecrets(source) {
      const [token, signingToken] = await Promise.all([vault.get(secretName(source, 'webhook-token')), vault.get(secretName(source, 'signing-token'))]);
      if (token === undefined && signingToken === undefined) return undefined;
      return { tokens: token === undefined ? [] : [token], signingTokens: signingToken === undefined ? [] : [signingToken] };
    },

    async save(source) {
      const [row] = await query<Row>(
        `insert into sources (source_id, name, base_url, ca_pem, client_cert_pem, digest) values ($1, $2, $3, $4, $5, $6)
         on conflict (source_id) do update set source_id = excluded.source_id returning digest`,
        [source.sourceId, source.name, source.baseUrl, source.caPem, source.client?.certPem ?? null, source.digest]);
      if (row?.digest !== source.digest) return false;
      await putOnce(secretName(source.sourceId, 'gitlab-token'), source.token);
      if (source.proxyUrl !== null) await putOnce(secretName(source.sourceId, 'proxy-url'), source.proxyUrl);
      if (source.client !== null) await putOnce(secretName(source.sourceId, 'client-key'), source.client.keyPem);
      await putOnce(secretName(source.sourceId, 'webhook-token'), source.webhookToken);
      await putOnce(secretName(source.sourceId, 'signing-token'), source.signingToken);
      return true;
    },

    async change(source, { revision, name, token, caPem, proxyUrl }) {
      const [row] = await query<Row>(
        `update sources set revision = $2, name = $3, ca_pem = case when $4 then $5 else ca_pem end where source_id = $1 and revision <= $2 returning source_id`,
        [source, revision, name, caPem !== undefined, caPem ?? null]);
      if (row === undefined) return;
      if (token !== undefined) await vault.put(secretName(source, 'gitlab-token'), token);
      if (proxyUrl === null) await vault.delete(secretName(source, 'proxy-url'));
      if (typeof proxyUrl === 'string') await vault.put(secretName(source, 'proxy-url'), proxyUrl);
    },

    async forget(source) {
      for (const what of SECRETS) await vault.delete(secretName(source, what));
      await query('delete from sources where source_id = $1', [source]);
    },
  };
}
