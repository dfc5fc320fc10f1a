import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { codeIn, digitsOf, Phones } from './phones.js'

const read = name => JSON.parse(readFileSync(new URL(name, import.meta.url)))
const settings = read('settings.json')
const phones = new Phones(settings)

test('every beginning of the example of every region keeps its digits', () => {
  for (const { code, calling, example } of settings.regions) {
    for (const prefix of ['', settings.plans[calling].prefix ?? '']) {
      const digits = prefix + example
      for (let length = 1; length <= digits.length + 2; length++) {
        const typed = `${digits}99`.slice(0, length)
        const text = phones.format({ region: code, digits: typed })
        assert.equal(digitsOf(text), typed, `${code} ${typed}: ${text}`)
        assert.match(text, /\d$/, 'a separator at the end would be deleted by the backspace key in place of a digit')
      }
    }
  }
})

test('whole phones are written as libphonenumber writes them in the country', () => {
  const otherwise = read('examples.json').filter(({ region, digits, national }) => {
    const { prefix = '' } = settings.plans[phones.regions.get(region).calling]
    return phones.format({ region, digits: digitsOf(national) === digits ? digits : prefix + digits }) !== national
  })
  // Argentina writes digits that are not dialled, Belarus dials one that is no prefix, and Bonaire has own formats.
  assert.deepEqual(otherwise.map(({ region }) => region), ['AR', 'BQ', 'BY'])
})

test('phones are written while they are typed', () => {
  for (const [region, digits, text] of [
    ['IR', '91', '91'],
    ['IR', '9121', '912 1'],
    ['IR', '9121234567', '912 123 4567'],
    ['IR', '0912123', '0912 123'],
    ['IR', '09121234567', '0912 123 4567'],
    ['US', '201', '(201'],
    ['US', '2015', '(201) 5'],
    ['US', '2015550123', '(201) 555-0123'],
    ['RU', '912345', '912 345'],
    ['RU', '89123456789', '8 (912) 345-67-89'],
    ['BR', '11961234567', '(11) 96123-4567'],
    ['GB', '7400123456', '7400 123456'],
    ['DE', '15123456789', '1512 3456789'],
  ]) assert.equal(phones.format({ region, digits }), text)
})

test('phones are read as people write them', () => {
  for (const [text, region, wantRegion, e164] of [
    ['0912 123 4567', 'IR', 'IR', '+9809121234567'],
    ['۹۱۲۱۲۳۴۵۶۷', 'IR', 'IR', '+989121234567'],
    ['٩١٢١٢٣٤٥٦٧', 'IR', 'IR', '+989121234567'],
    ['+98 (912) 123-4567', 'US', 'IR', '+989121234567'],
    ['00989121234567', 'US', 'IR', '+989121234567'],
    ['+۹۸۹۱۲', 'US', 'IR', '+98912'],
    ['+1 201 555 0123', 'IR', 'US', '+12015550123'],
    ['+1 604 555 0123', 'IR', 'CA', '+16045550123'],
    ['6045550123', 'US', 'CA', '+16045550123'],
    ['604', 'CA', 'CA', '+1604'],
    ['+7 912 345 67 89', 'IR', 'RU', '+79123456789'],
    ['+7 771 000 9998', 'IR', 'KZ', '+77710009998'],
    ['+44 7400 123456', 'IR', 'GB', '+447400123456'],
    ['+44 7781 123456', 'IR', 'GG', '+447781123456'],
    ['+9', 'IR', 'IR', '+9'],
    ['+', 'IR', 'IR', '+'],
  ]) {
    const typed = phones.read(text, region)
    assert.deepEqual([typed.region, phones.asSent(typed)], [wantRegion, e164], text)
  }
  assert.equal(phones.read('989121234567', 'IR', { whole: true }).digits, '9121234567')
  assert.equal(phones.read('6045550123', 'US', { keep: true }).region, 'US')
  assert.equal(phones.written('+989121234567'), '+98 912 123 4567')
  assert.equal(phones.written('+999123'), '+999123')
})

test('the code is found in a message', () => {
  for (const [text, length, code] of [
    ['887474\nکد ورود شما\nلطفاً آن را به کسی ندهید.', 6, '887474'],
    ['کد ورود: ۱۲۳۴۵۶ تا ۲ دقیقه', 6, '123456'],
    ['رمز ٠٤٢١٣٧ خلال ١٢٠ ثانية', 6, '042137'],
    ['Good for 10 min: G-123456.', 6, '123456'],
    ['Your code is 123 456', 6, '123456'],
    ['12345678', 8, '12345678'],
    ['1234567', 6, ''],
    ['12345', 6, ''],
    ['', 6, ''],
    ['654321 is your code\n\n@login.example.com #654321', 6, '654321'],
  ]) assert.equal(codeIn(text, length), code, text)
})
