import { allFiles, isTest, read, sources } from './source-files.ts';

// What no file may say, whatever else it says.

const TEXT = /\.(?:ts|js|mjs|json|md|sql|py|sh|ya?ml|toml|env|example|txt)$|(?:^|\/)(?:Makefile|Dockerfile|run)$/;
const texts = allFiles().filter((file) => TEXT.test(file) && file !== 'package-lock.json').map((file) => ({ file, text: read(file) }));
const code = sources();

function linesWith(pattern: RegExp, where: (file: string) => boolean = () => true): string[] {
  return texts.filter(({ file }) => where(file) && !file.startsWith('tests/architecture/')).flatMap(({ file, text }) =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim().slice(0, 120)}`] : [])));
}

test('no file names a path of one machine', () => {
  expect(linesWith(/(?<![\w.$}/-])\/(?:work|home\/[a-z]+|Users\/[A-Za-z]+)\//)).toEqual([]);
});

test('what lies beside the project is read by tests and by CI only, which do without it when it is not there', () => {
  expect(linesWith(/\.\.\/shared\/(?:docs|fixtures|hooks|sketches|eventstoredb)\b/, (file) => !isTest(file) && !file.startsWith('.ci/'))).toEqual([]);
});

test('no file holds what looks like a real secret', () => {
  const invented = /(?:example|invented|secret|token|canary|test|fake|dummy|0{6,}|1234|abcd|x{6,})/i;
  const real = /glpat-[\w-]{20}|gh[pousr]_\w{36}|AKIA[0-9A-Z]{16}|xox[abp]-\w{10}|-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----\s*$/;
  expect(linesWith(real).filter((line) => !invented.test(line))).toEqual([]);
});

test('a comment is a sentence, a NOTE: or a TODO(#issue):', () => {
  expect(linesWith(/(?:\/\/|\*|#|--)\s*(?:TODO(?!\(#\d+\):)|FIXME|XXX|HACK)\b/)).toEqual([]);
});

test('no test is switched off, or keeps the others from running', () => {
  expect(code.filter((file) => /\b(?:describe|test|it)\.(?:only|skip|todo)\(|\b(?:fdescribe|fit|xdescribe|xtest|xit)\(/.test(read(file)) && !file.startsWith('tests/architecture/'))).toEqual([]);
});

test('no test replaces a module of ours', () => {
  expect(code.filter((file) => /\bjest\.(?:unstable_)?(?:mock|mockModule|doMock)\(\s*['"][.#]/.test(read(file)))).toEqual([]);
});
