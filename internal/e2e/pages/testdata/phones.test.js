import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { codeIn, digitsOf, latin, Phones } from './phones.js'

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
  for (const [text, region, wantRegion, phone] of [
    ['0912 123 4567', 'IR', 'IR', '09121234567'],
    ['۹۱۲۱۲۳۴۵۶۷', 'IR', 'IR', '9121234567'],
    ['٩١٢١٢٣٤٥٦٧', 'IR', 'IR', '9121234567'],
    ['९१२१२३४५६७', 'IR', 'IR', '9121234567'],
    ['𝟵𝟭𝟮𝟭𝟮𝟯𝟰𝟱𝟲𝟳', 'IR', 'IR', '9121234567'],
    ['\u202a+98 912\u202c 123 4567\n', 'US', 'IR', '9121234567'],
    ['＋９８ ９１２１２３４５６７', 'US', 'IR', '9121234567'],
    ['+0912 123 4567', 'IR', 'IR', '09121234567'],
    ['+98 (912) 123-4567', 'US', 'IR', '9121234567'],
    ['00989121234567', 'US', 'IR', '9121234567'],
    ['+۹۸۹۱۲', 'US', 'IR', '912'],
    ['+1 201 555 0123', 'IR', 'US', '2015550123'],
    ['+1 604 555 0123', 'IR', 'CA', '6045550123'],
    ['6045550123', 'US', 'CA', '6045550123'],
    ['604', 'CA', 'CA', '604'],
    ['+7 912 345 67 89', 'IR', 'RU', '9123456789'],
    ['+7 771 000 9998', 'IR', 'KZ', '7710009998'],
    ['+44 7400 123456', 'IR', 'GB', '7400123456'],
    ['+44 7781 123456', 'IR', 'GG', '7781123456'],
  ]) assert.deepEqual(phones.asSent(phones.read(text, region)), { phone, region: wantRegion }, text)
  assert.deepEqual(phones.asSent(phones.read('+9', 'IR')), { phone: '+9' })
  assert.deepEqual(phones.asSent(phones.read('+', 'IR')), { phone: '+' })
  assert.equal(phones.read('6045550123', 'US', { keep: true }).region, 'US')
  assert.equal(phones.written('+989121234567'), '+98 912 123 4567')
  assert.equal(phones.written('+999123'), '+999123')
})

test('a calling code that was pasted without a plus is not written twice', () => {
  for (const [text, region, digits] of [
    ['989121234567', 'IR', '9121234567'],
    ['6281234567890', 'ID', '81234567890'],
    ['628123456789', 'ID', '8123456789'],
    ['62 0812 3456 7890', 'ID', '081234567890'],
    ['4915123456789', 'DE', '15123456789'],
    ['5511961234567', 'BR', '11961234567'],
    ['9121234567', 'IN', '9121234567'], // 91 is India's code, and begins this number
    ['912', 'IN', '912'],
  ]) assert.equal(phones.read(text, region, { whole: true }).digits, digits, text)
  const typed = phones.read('6281234567890', 'ID')
  assert.equal(typed.digits, '6281234567890', 'digits that are typed one by one stay')
  assert.equal(phones.international(typed), '+6281234567890')
})

// The service compares what is sent here with its own reading of the text.
test('pasted phones are sent', () => {
  const sent = read('pasted.json').map(({ text, region }) => phones.asSent(phones.read(text, region, { whole: true })))
  writeFileSync(new URL('sent.json', import.meta.url), JSON.stringify(sent))
})

test('a national phone of another country is offered', () => {
  for (const [text, region, likely, want] of [
    ['09121234567', 'DE', ['DE', 'IR'], 'IR'],
    ['9121234567', 'DE', ['IR'], 'IR'],
    ['15123456789', 'IR', ['IR', 'DE'], 'DE'],
    ['989121234567', 'US', ['US'], 'IR'],
    ['+999121234567', 'DE', ['IR'], undefined],
    ['0', 'DE', ['IR'], undefined],
  ]) {
    const typed = phones.read(text, region, { whole: true })
    assert.equal(phones.other(typed, likely), want, `${text} in ${region}`)
  }
})

test('digits of every script are read', () => {
  let digits = ''
  for (let point = 0; point <= 0x10ffff; point++) {
    if (/\p{Nd}/u.test(String.fromCodePoint(point))) digits += String.fromCodePoint(point)
  }
  assert.equal(latin(digits), '0123456789'.repeat([...digits].length / 10))
})

test('the code is found in a message', () => {
  for (const [text, length, code] of [
    ['887474\nکد ورود شما\nلطفاً آن را به کسی ندهید.', 6, '887474'],
    ['کد ورود: ۱۲۳۴۵۶ تا ۲ دقیقه', 6, '123456'],
    ['رمز ٠٤٢١٣٧ خلال ١٢٠ ثانية', 6, '042137'],
    ['Good for 10 min: G-123456.', 6, '123456'],
    ['Your code is 123 456', 6, '123456'],
    ['Your code is 123\u2013456\u200e', 6, '123456'],
    ['কোড ১২৩৪৫৬', 6, '123456'],
    ['12345678', 8, '12345678'],
    ['1234567', 6, ''],
    ['12345', 6, ''],
    ['', 6, ''],
    ['654321 is your code\n\n@login.example.com #654321', 6, '654321'],
  ]) assert.equal(codeIn(text, length), code, text)
})
