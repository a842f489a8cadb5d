import path from 'node:path';

import { openJournal, type Journal, type Table } from './journal.ts';
import { SETTINGS_AT_FIRST, type Settings } from './settings.ts';
import type { Delivery, Hook, Member, Namespace, Project, Redirect, Share, Token, User } from './records.ts';

/** All that the instance remembers over a restart, apart from the repositories. */
export interface State {
  users: Table<User>;
  tokens: Table<Token>;
  namespaces: Table<Namespace>;
  projects: Table<Project>;
  members: Table<Member>;
  shares: Table<Share>;
  redirects: Table<Redirect>;
  hooks: Table<Hook>;
  deliveries: Table<Delivery>;
  settings(): Settings;
  changeSettings(changes: Partial<Omit<Settings, 'id'>>): Settings;
  close(): void;
}

export function openState(dir: string): State {
  const journal = openJournal(path.join(dir, 'state.jsonl'));
  // Apart, because the bodies of deliveries are by far the most of it.
  const deliveries = openJournal(path.join(dir, 'deliveries.jsonl'));
  const settings = journal.table<Settings>('settings');
  return {
    ...openTables(journal),
    deliveries: deliveries.table<Delivery>('deliveries'),
    settings: () => ({ ...SETTINGS_AT_FIRST, ...settings.get(1) }),
    changeSettings: (changes) => settings.put({ ...SETTINGS_AT_FIRST, ...settings.get(1), ...changes, id: 1 }),
    close: () => {
      journal.close();
      deliveries.close();
    },
  };
}

function openTables(journal: Journal): Omit<State, 'deliveries' | 'settings' | 'changeSettings' | 'close'> {
  return {
    users: journal.table<User>('users'),
    tokens: journal.table<Token>('tokens'),
    namespaces: journal.table<Namespace>('namespaces'),
    projects: journal.table<Project>('projects'),
    members: journal.table<Member>('members'),
    shares: journal.table<Share>('shares'),
    redirects: journal.table<Redirect>('redirects'),
    hooks: journal.table<Hook>('hooks'),
  };
}
