import { hugeBesideSmall } from './huge-beside-small.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(hugeBesideSmall);
