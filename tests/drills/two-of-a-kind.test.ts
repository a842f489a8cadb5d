import { testShortForm } from './short-form.ts';
import { twoOfAKind } from './two-of-a-kind.drill.ts';

testShortForm(twoOfAKind);
