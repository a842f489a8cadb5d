import { createMemorySecretVault } from './memory-secret-vault.ts';
import { secretVaultContract } from './secret-vault.contract.ts';

secretVaultContract('memory', async () => ({ vault: createMemorySecretVault(), close: async () => {} }));
