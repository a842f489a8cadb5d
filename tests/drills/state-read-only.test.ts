import { stateReadOnly } from './state-read-only.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(stateReadOnly);
