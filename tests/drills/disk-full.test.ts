import { diskFull } from './disk-full.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(diskFull);
