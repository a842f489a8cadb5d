import { objectionTo } from './judge-password.ts';
import { isMostUsed } from './most-used-passwords.ts';

const objection = (password: string, name = 'ann') => objectionTo({ password, name, before: 'the one before it' })?.code;

test.each([
  ['the one before it', 'password-too-like'], ['123qweasdzxc', 'password-too-easy'], ['1QAZ2wsx3edc', 'password-too-easy'], ['leavemealone', 'password-too-easy'], ['Administrator', 'password-too-easy'],
  ['aaaaaaaaaaaa', 'password-too-easy'], ['AaAaAaAaAaAaA', 'password-too-easy'], ['xyzxyzxyzxyz', 'password-too-easy'], ['annannannannan', 'password-too-easy'], ['tekai!tekai!', 'password-too-easy'], ['🦊🦊🦊🦊🦊🦊', 'password-too-easy'],
  ['four words of nobody', undefined], ['ann has a long one', undefined], ['aaaaaaaaaaab', undefined], ['tekai7!tekai7!', undefined], ['123qweasdzxc and more', undefined], ['V3lYk9:x0pQz', undefined],
])('%s as a new password: %s', (password, code) => {
  expect(objection(password)).toBe(code);
});

test('a name that is long enough is in none, in whatever case; the refusal says where, why, and what to do', () => {
  expect([objection('I am Somebody here', 'somebody'), objection('I am here, ann', 'ann')]).toEqual(['password-too-like', undefined]);
  const easy = objectionTo({ password: 'qwerty123456', name: 'ann', before: '' });
  expect([easy?.status, easy?.message]).toEqual([422, 'The new password is one of the most used, which are guessed first. Take some words that nobody says together, or let a password manager make one.']);
});


test('the most used are known, the first, the 3,000th and what lies between; what is as long and nobody\'s is not', () => {
  expect(['123qweasdzxc', 'Mailcreated5240', 'contortionist', 'seniseviyorum', 'rollercoaster', 'eveningcucumber'].filter((one) => !isMostUsed(one))).toEqual([]);
  expect(Array.from({ length: 10_000 }, (_, n) => `nobody's own ${n * 7_919}`).filter(isMostUsed)).toEqual([]);
});
