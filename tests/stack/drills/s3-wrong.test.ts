import { testShortForm } from '../../drills/short-form.ts';
import { s3Wrong } from './s3-wrong.drill.ts';

testShortForm(s3Wrong);
