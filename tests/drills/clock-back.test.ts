import { clockBack } from './clock-back.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(clockBack);
