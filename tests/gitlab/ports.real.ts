import { createGitCliTransport } from '#shared/gitlab/git-cli-transport.ts';
import { gitTransportContract } from '#shared/gitlab/git-transport.contract.ts';
import { createGitbeakerOpener } from '#shared/gitlab/gitbeaker-gitlab.ts';
import { gitLabContract } from '#shared/gitlab/gitlab.contract.ts';
import { THIS_MACHINE } from '../harness/this-machine.ts';
import { noteWhatIsOnlySimulated, startRealGitLab } from './real-world.ts';
import { targetFromEnvironment } from './target.ts';

// The suites that hold the adapters against the simulator, against a GitLab that is not ours. Run by tests/gitlab/run.ts.
const target = targetFromEnvironment(process.env);
const scratch = JSON.parse(process.env['TEST_GITLAB_SCRATCH'] ?? '') as { path: string; id: number };
const start = () => startRealGitLab(target, scratch);

noteWhatIsOnlySimulated(process.env['TEST_GITLAB_NOTES'] ?? '');
gitLabContract('gitbeaker, real', createGitbeakerOpener({ addresses: THIS_MACHINE }), start);
gitTransportContract('git, real', (directory) => createGitCliTransport({ directory, owner: 'test', addresses: THIS_MACHINE }), start);
