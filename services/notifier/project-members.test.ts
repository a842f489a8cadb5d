import type { CodebaseId, Position } from '#schemas/brand.ts';
import { createProjectMembers, type Members } from './project-members.ts';

const PROJECT = 'p';
const [A, B] = ['a', 'b'] as [CodebaseId, CodebaseId];

test('two looks that end in the other order than they began: the older one is not believed', async () => {
  const answers: ((members: Members) => void)[] = [];
  const members = createProjectMembers({ store: { members: () => new Promise((resolve) => { answers.push(resolve as (members: Members) => void); }) } });
  members.hold(PROJECT);
  const looks = [members.refresh(PROJECT), members.refresh(PROJECT)];
  answers[1]?.({ codebases: [B], position: '2' as Position });
  await looks[1];
  answers[0]?.({ codebases: [A, B], position: '1' as Position });
  await looks[0];
  expect([members.isMember(PROJECT, A), members.isMember(PROJECT, B)]).toEqual([false, true]);
  expect([[...members.projectsOf(A)], [...members.projectsOf(B)]]).toEqual([[], [PROJECT]]);
  members.release(PROJECT);
  expect([members.isHeld(PROJECT), [...members.projectsOf(B)]]).toEqual([false, []]);
});
