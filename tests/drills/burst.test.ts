import { burst } from './burst.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(burst);
