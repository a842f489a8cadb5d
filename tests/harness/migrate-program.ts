// A starter that migrates, for tests that kill it. Arguments: the URL, the owner, the folder. Prints what it applied.
import { migrate } from '#shared/postgres/migrate.ts';

const [url = '', name = '', directory = ''] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await migrate({ url, owners: [{ name, directory }] }))}\n`);
