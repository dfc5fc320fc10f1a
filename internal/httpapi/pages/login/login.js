// The login page: a phone number, a code, and who is logged in. numbers.js has what it knows of numbers, api.js the calls,
// language.js what it says, and drawer.js the messages of development.

import { browser, call, forget, isLoggedIn, logIn, Problem, recall, tab, withToken } from './api.js'
import { Drawer } from './drawer.js'
import { date, language, load, ltr, plain, say, speak, time, wanted, wantedLanguage, words } from './language.js'
import { codeIn, digitsOf, Numbers } from './numbers.js'

const $ = id => document.getElementById(id)
const now = () => Date.now() / 1000 // only ever compared with itself: the clock of the service may be another

// ── Messages ─────────────────────────────────────────────────────────────────────────────────────────────────────────

let shown = {} // what #message says, to say it again in another language

// notice shows a word in #message; with until, a countdown to that time behind it.
function notice(word, { bad = false, until = 0 } = {}) {
  shown = { word, bad, until }
  const message = $('message')
  message.setAttribute('role', bad ? 'alert' : 'status')
  message.classList.toggle('bad', bad)
  message.textContent = word ? words.problems[word] ?? words[word] : ''
  if (until) { // a screen reader hears how long it takes once, not every second
    const left = document.createElement('span')
    left.id = 'left'
    message.append(' ', left)
    const wait = document.createElement('span')
    wait.className = 'unseen'
    wait.textContent = say('retry_in', { time: time(Math.max(1, Math.round(until - now()))) })
    left.setAttribute('aria-hidden', 'true')
    message.append(wait)
    tick()
  }
}

const ofFields = ['phone_missing', 'invalid_phone', 'destination_not_allowed', 'invalid_code', 'invalid_code_format', 'code_dead']

// fault says what a failed call means for the person, and marks the field if it is the field's.
function fault(problem, field) {
  if (!(problem instanceof Problem)) console.error(problem)
  const known = Object.hasOwn(words.problems, problem.code) ? problem.code : 'internal_error'
  notice(known, { bad: true, until: problem.retryAfter ? now() + problem.retryAfter : 0 })
  if (!field || !ofFields.includes(known)) return
  field.setAttribute('aria-invalid', 'true')
  field.focus()
}

function clear() {
  notice('')
  for (const field of [$('phone'), $('code')]) field.removeAttribute('aria-invalid')
}

let task // what the person waits for

// busy makes a form's button wait. What a form asks for is asked for once, however often it is submitted. Whoever leaves
// the step waits no longer, and work learns from its argument whether somebody still does.
async function busy(button, work) {
  if (task) return
  const mine = task = { button }
  document.body.dataset.busy = 'true'
  button.classList.add('busy')
  try {
    await work(() => task === mine)
  } finally {
    if (task === mine) idle()
  }
}

function idle() {
  task?.button.classList.remove('busy')
  task = undefined
  delete document.body.dataset.busy
}

// ── Steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────

let settings, numbers, drawer // which is there in development alone
let account // who is logged in

// pending is the code that is on its way: what was asked for, until when it lives, when to send again. It survives a reload.
let pending = recall('otp.pending')

function setPending(value) {
  pending = value
  if (value) tab.setItem('otp.pending', JSON.stringify(value))
  else tab.removeItem('otp.pending')
}

const step = () => document.body.dataset.step

// show shows a step as it is now, and gives the focus to where the person goes on.
function show(name, { focus = true } = {}) {
  const before = step()
  document.body.dataset.step = name
  $('phone-form').hidden = name !== 'phone'
  $('code-form').hidden = name !== 'code'
  $('account').hidden = name !== 'account'
  if (before !== name) {
    idle()
    clear()
  }
  if (name === 'code') showCode(before !== name)
  else stopWaiting()
  render()
  const target = { phone: $('phone'), code: $('code'), account: $('title') }[name]
  if (focus && before !== name) target.focus()
}

// render writes all that depends on the language.
function render() {
  const app = settings.app_name
  const title = {
    phone: app ? say('title_app', { app }) : words.title,
    code: words.title_code,
    account: account?.isNew ? words.welcome_new : words.welcome,
  }[step()]
  $('app').textContent = app
  $('title').textContent = title
  document.title = app && !title.includes(app) ? `${title} · ${app}` : title
  $('lead').textContent = step() === 'phone' ? words.lead : ''
  if (step() === 'code') {
    const length = plain.format(pending.code_length)
    $('lead').textContent = say('lead_code', { n: length, phone: ltr(numbers.written(pending.phone).replaceAll(' ', '\u00a0')) })
    $('code-label').textContent = say('code', { n: length })
  }
  renderRegions()
  renderDelivery()
  renderAccount()
  drawer?.render()
  tick()
}

addEventListener('popstate', ({ state }) => {
  if (account) show('account')
  else if (state?.step === 'code' && alive()) show('code')
  else {
    history.replaceState({ step: 'phone' }, '')
    show('phone')
  }
})

// Countdowns, and what happens at their end.
function tick() {
  if (!words) return
  const left = $('left')
  if (left) {
    const seconds = Math.ceil(shown.until - now())
    if (seconds > 0) left.textContent = say('retry_in', { time: time(seconds) })
    else notice('retry_now')
  }
  if (step() !== 'code') return
  const wait = Math.ceil(pending.resend_at - now())
  $('resend').disabled = wait > 0
  $('resend').textContent = wait > 0 ? say('resend_in', { time: time(wait) }) : words.resend
  if (!alive()) over('code_expired')
}
setInterval(tick, 500)

// ── The number ───────────────────────────────────────────────────────────────────────────────────────────────────────

let number = { region: '', digits: '', international: false }
let picked = false // whether the person has chosen the region, so that the digits do not

// likelyRegion is where the browser seems to be: its time zone knows better than its language, which is often just English.
function likelyRegion() {
  const offered = code => numbers.regions.has(code)
  if (offered(settings.default_region)) return settings.default_region
  const spoken = navigator.languages.map(regionOf).filter(offered)
  const all = [...spoken, ...numbers.regions.keys()]
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const inZone = code => {
    const locale = new Intl.Locale('und', { region: code })
    return (locale.getTimeZones?.() ?? locale.timeZones)?.includes(zone)
  }
  return (zone !== 'UTC' && all.find(inZone)) || all[0]
}

function regionOf(tag) {
  try {
    return new Intl.Locale(tag).maximize().region
  } catch { // en-US@posix, for example
    return ''
  }
}

const flagOf = code => String.fromCodePoint(...[...code].map(letter => 0x1f1a5 + letter.codePointAt(0)))

function renderRegions() {
  if ($('region').lang !== language) {
    const names = new Intl.DisplayNames(language, { type: 'region' })
    const { compare } = new Intl.Collator(language)
    const options = [...numbers.regions.values()]
      .map(({ code, calling }) => ({ code, calling, name: names.of(code) }))
      .sort((a, b) => compare(a.name, b.name))
      // The name comes first, so that a region is found by typing it.
      .map(({ code, calling, name }) => new Option(`${name} ${ltr('+' + calling)} ${flagOf(code)}`, code))
    $('region').replaceChildren(...options)
    $('region').lang = language
  }
  const { calling, example } = numbers.regions.get(number.region)
  $('region').value = number.region
  $('flag').textContent = number.international ? '🌐' : flagOf(number.region)
  $('calling').textContent = number.international ? '' : '+' + calling
  $('phone').placeholder = numbers.format({ region: number.region, digits: example })
}

// typed reads the field after a change, writes it anew, and puts the caret behind the digit that it stood behind.
function typed({ inputType, whole = inputType === undefined || /Paste|Drop|Replacement/.test(inputType) }) {
  const field = $('phone')
  const caret = field.selectionStart
  let text = field.value
  let before = digitsOf(text.slice(0, caret)).length
  const count = digitsOf(text).length
  if (count === number.digits.length && count > 0 && /^deleteContent(Back|For)ward$/.test(inputType)) { // a separator alone was deleted: take the digit too
    const digits = digitsOf(text)
    const at = inputType === 'deleteContentBackward' ? before - 1 : before
    if (at >= 0 && at < digits.length) {
      text = (/^\D*\+/.test(text) ? '+' : '') + digits.slice(0, at) + digits.slice(at + 1)
      if (at < before) before = at
    }
  }
  const after = digitsOf(text).length - before // what stands behind the caret stays behind it
  number = numbers.read(text, number.region, { whole, keep: picked })
  field.value = numbers.format(number)
  let position = field.value.length
  for (let passed = 0; passed < after && position > 0;) if (/\d/.test(field.value[--position])) passed++
  field.setSelectionRange(position, position)
  tab.setItem('otp.number', JSON.stringify(number))
  clear()
  renderRegions()
}

$('phone').addEventListener('input', event => event.isComposing || typed(event)) // an input method loses its place in a field that others write to
$('phone').addEventListener('compositionend', () => typed({ inputType: 'insertText' }))
$('region').addEventListener('change', () => {
  picked = true
  number = { ...number, region: $('region').value, international: false }
  $('phone').value = numbers.format(number)
  clear()
  renderRegions()
})

$('phone-form').addEventListener('submit', event => {
  event.preventDefault()
  if (!number.digits) return fault(new Problem('phone_missing'), $('phone'))
  const phone = numbers.e164(number)
  if (pending?.asked === phone && alive() && now() < pending.resend_at) return enterCode() // its message is on the way
  busy($('send'), async here => {
    clear()
    let sent
    try {
      sent = await request(phone)
    } catch (problem) {
      if (!here()) return
      if (problem.code !== 'resend_too_soon') return fault(problem, $('phone'))
      setPending({
        asked: phone, phone, code_length: settings.code_length, sent_at: now(), resend_at: now() + problem.retryAfter, expires_at: now() + 600, status: 'sent',
      })
      enterCode()
      return notice('resend_too_soon')
    }
    if (!here()) return
    setPending(sent)
    enterCode()
  })
})

// request asks for a message, which has the same code as the one before while that lives.
async function request(phone) {
  const sent = await call('POST', 'otp/request', { body: { phone, locale: language } })
  return {
    asked: phone, phone: sent.phone, request_id: sent.request_id, code_length: sent.code_length, sent_at: now(),
    resend_at: now() + sent.resend_in, expires_at: now() + sent.expires_in, status: 'queued',
  }
}

function enterCode() {
  history.pushState({ step: 'code' }, '')
  show('code')
}

// ── The code ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const alive = () => pending !== null && now() < pending.expires_at
let waiting // an AbortController of all that waits for the message

function showCode(fresh) {
  const cells = $('boxes').querySelectorAll('span')
  if (cells.length !== pending.code_length) {
    cells.forEach(cell => cell.remove())
    for (let i = 0; i < pending.code_length; i++) {
      const cell = document.createElement('span')
      cell.setAttribute('aria-hidden', 'true')
      $('boxes').append(cell)
    }
  }
  if (fresh) setCode('')
  if (fresh && pending.over) notice('code_dead', { bad: true })
  waitForMessage()
}

function stopWaiting() {
  waiting?.abort()
  waiting = undefined
}

// waitForMessage lets the browser fill the code in when the message arrives, and asks what became of the message.
function waitForMessage() {
  stopWaiting()
  const { signal } = waiting = new AbortController()
  if ('OTPCredential' in window) {
    navigator.credentials.get({ otp: { transport: ['sms'] }, signal }).then(({ code }) => take(code), () => {})
  }
  watchDelivery(signal)
  drawer?.watch()
}

async function watchDelivery(signal) {
  while (!signal.aborted && alive() && pending.request_id && ['queued', 'sent'].includes(pending.status)) {
    await new Promise(wake => setTimeout(wake, pending.status === 'queued' ? 1000 : 4000))
    if (signal.aborted || document.hidden || !alive()) continue
    try {
      const { status, resend_in } = await call('GET', `otp/status?request_id=${encodeURIComponent(pending.request_id)}`)
      if (signal.aborted) return
      setPending({ ...pending, status, resend_at: Math.max(now() + resend_in, pending.refused_until ?? 0) })
    } catch (problem) {
      if (signal.aborted) return
      if (problem.code === 'not_found' && !task) return over('code_dead') // or it is used: the answer to it says so
    }
    renderDelivery()
  }
}

function renderDelivery() {
  if (step() !== 'code') return
  const slow = pending.status === 'queued' && now() > pending.sent_at + 6
  const text = pending.over ? '' : words['delivery_' + (slow ? 'slow' : pending.status)]
  if ($('delivery').textContent !== text) $('delivery').textContent = text
}

// over says that no code works any more: it is expired, or wrong tries have burnt it.
function over(word) {
  if (pending.over) return // what is in the boxes since was typed in spite of it
  setPending({ ...pending, over: true })
  setCode('')
  notice(word, { bad: true })
  renderDelivery()
}

// setCode writes the code into the field and, digit by digit, into the boxes that are drawn below it.
function setCode(code) {
  const field = $('code')
  if (field.value !== code) field.value = code
  drawCode()
  if (code.length !== pending.code_length) return
  clear()
  $('code-form').requestSubmit()
}

// take sets the code that a message holds, and tells whether it holds one.
function take(message) {
  const code = codeIn(message, pending.code_length)
  if (code) setCode(code)
  return code !== ''
}

function drawCode() {
  if (!pending) return
  const field = $('code')
  const at = Math.min(field.selectionStart, pending.code_length - 1)
  const focused = document.activeElement === field
  $('boxes').querySelectorAll('span').forEach((cell, i) => {
    cell.textContent = field.value[i] ?? ''
    cell.classList.toggle('here', focused && i === at)
  })
}

$('code').addEventListener('input', () => {
  const text = $('code').value
  const caret = digitsOf(text.slice(0, $('code').selectionStart)).length
  if ($('code').hasAttribute('aria-invalid')) clear()
  setCode(codeIn(text, pending.code_length) || digitsOf(text).slice(0, pending.code_length))
  $('code').setSelectionRange(caret, caret)
  drawCode()
})
$('code').addEventListener('paste', event => { // a field of one line would join the lines, and so the numbers in them
  if (take(event.clipboardData.getData('text'))) event.preventDefault()
})
for (const event of ['focus', 'blur']) $('code').addEventListener(event, drawCode)
document.addEventListener('selectionchange', drawCode)

$('code-form').addEventListener('submit', event => {
  event.preventDefault()
  const code = $('code').value
  if (code.length !== pending.code_length) return fault(new Problem('invalid_code_format'), $('code'))
  busy($('verify'), async here => {
    clear()
    try {
      const login = await call('POST', 'otp/verify', { body: { phone: pending.phone, code } })
      if (here()) verified(login)
      else if (login.access_token) call('POST', 'logout', { token: login.access_token }).catch(() => {}) // the person has turned away
    } catch (problem) {
      if (!here()) return
      if (problem.code === 'invalid_code') wrong(problem, code)
      else fault(problem, $('code'))
    }
  }).then(() => goOn(code))
})

// goOn sends what was typed, or has arrived, while something else was asked for.
function goOn(before) {
  if (step() === 'code' && !task && $('code').value !== before) setCode($('code').value)
}

async function wrong(problem, code) {
  const { request_id } = pending
  if ($('code').value === code) setCode('')
  fault(pending.over ? new Problem('code_dead') : problem, $('code'))
  $('boxes').classList.remove('shake')
  requestAnimationFrame(() => $('boxes').classList.add('shake'))
  if (!request_id || pending.over) return
  try { // was it the last try?
    await call('GET', `otp/status?request_id=${encodeURIComponent(request_id)}`)
  } catch ({ code }) {
    if (code === 'not_found' && step() === 'code' && pending.request_id === request_id && !task) over('code_dead')
  }
}

function verified(login) {
  setPending(null)
  $('code').value = ''
  if (!login.access_token) { // SIGNUP_LOGS_IN=false
    history.replaceState({ step: 'phone' }, '')
    show('phone')
    return notice('registered')
  }
  logIn(login)
  account = { ...login.user, isNew: login.new_user }
  showAccount()
}

$('resend').addEventListener('click', () => {
  const another = pending.over
  busy($('resend'), async here => {
    clear()
    setCode('')
    try {
      const sent = await request(pending.asked)
      if (pending?.asked === sent.asked) setPending(sent)
      if (!here()) return
      show('code')
      notice(another ? 'resent_new' : 'resent')
    } catch (problem) {
      if (!here()) return
      if (problem.retryAfter) setPending({ ...pending, resend_at: now() + problem.retryAfter, refused_until: now() + problem.retryAfter })
      fault(problem)
    }
    $('code').focus()
  }).then(() => goOn(''))
})

$('change').addEventListener('click', () => {
  if (history.state?.step === 'code') history.back()
  else show('phone')
})

// ── The account ──────────────────────────────────────────────────────────────────────────────────────────────────────

function showAccount() {
  history.replaceState({ step: 'account' }, '')
  show('account')
  loadSessions()
}

async function loadSessions() {
  const whose = account
  try {
    whose.sessions = (await withToken('GET', 'me/sessions')).sessions
    renderAccount()
  } catch (problem) {
    if (account === whose) accountFault(problem)
  }
}

function renderAccount() {
  if (step() !== 'account') return
  $('account-phone').textContent = account.phone ? numbers.written(account.phone) : ''
  $('account-since').textContent = say('member_since', { date: date(account.created_at, { dateStyle: 'long' }) })
  const items = (account.sessions ?? []).map(session => {
    const item = document.createElement('li')
    const device = Object.assign(document.createElement('strong'), { textContent: deviceOf(session.user_agent) })
    const used = Object.assign(document.createElement('span'), {
      textContent: session.current ? words.session_current : say('session_used', { date: date(session.last_used_at, { dateStyle: 'medium', timeStyle: 'short' }) }),
    })
    const address = Object.assign(document.createElement('span'), { textContent: ltr(session.ip) })
    const text = document.createElement('div')
    text.append(device, used, address)
    item.append(text)
    item.classList.toggle('current', session.current)
    if (!session.current) {
      const end = Object.assign(document.createElement('button'), { type: 'button', className: 'end', textContent: words.session_end })
      end.setAttribute('aria-label', `${words.session_end}: ${deviceOf(session.user_agent)}`)
      end.addEventListener('click', () => busy(end, () => endSession(session)))
      item.append(end)
    }
    return item
  })
  $('sessions').replaceChildren(...items)
}

function deviceOf(agent) {
  const find = names => names.find(([pattern]) => pattern.test(agent))?.[1]
  const browser = find([[/Edg/, 'Edge'], [/OPR|Opera/, 'Opera'], [/SamsungBrowser/, 'Samsung Internet'], [/Firefox|FxiOS/, 'Firefox'], [/Chrom|CriOS/, 'Chrome'], [/Safari/, 'Safari']])
  const system = find([[/iPhone/, 'iPhone'], [/iPad/, 'iPad'], [/Android/, 'Android'], [/Windows/, 'Windows'], [/CrOS/, 'ChromeOS'], [/Mac OS/, 'macOS'], [/Linux/, 'Linux']])
  return browser && system ? ltr(`${browser} · ${system}`) : agent.slice(0, 60) || words.unknown_device
}

async function endSession({ id }) {
  try {
    await withToken('DELETE', `me/sessions/${id}`)
  } catch (problem) {
    if (problem.code !== 'not_found') return accountFault(problem)
  }
  notice('session_gone')
  $('title').focus()
  loadSessions()
}

function accountFault(problem) {
  if (!isLoggedIn() || problem.code === 'invalid_token' || problem.code === 'banned') loggedOut()
  fault(problem)
}

function loggedOut() {
  forget()
  account = undefined
  for (const id of ['account-phone', 'account-since', 'sessions']) $(id).replaceChildren()
  history.replaceState({ step: 'phone' }, '')
  show('phone')
}

// loggedOutElsewhere is for a twin of this tab, and for an earlier page of it that the back button brings back as it was.
function loggedOutElsewhere() {
  if (!account || isLoggedIn()) return
  loggedOut()
  notice('logged_out')
}
addEventListener('loggedout', loggedOutElsewhere)
addEventListener('pageshow', loggedOutElsewhere)

function logOut(button, path) {
  return busy(button, async () => {
    try {
      await withToken('POST', path)
    } catch (problem) {
      return accountFault(problem)
    }
    loggedOut()
    notice('logged_out')
  })
}
$('logout').addEventListener('click', () => logOut($('logout'), 'logout'))
$('logout-all').addEventListener('click', () => logOut($('logout-all'), 'logout?everywhere=true'))

// ── The beginning ────────────────────────────────────────────────────────────────────────────────────────────────────

$('language').addEventListener('change', async () => {
  const chosen = $('language').value
  try {
    await speak(chosen)
  } catch {
    if (wanted !== chosen) return
    $('language').value = language
    return fault(new Problem(navigator.onLine ? 'unreachable' : 'offline'))
  }
  if (language !== chosen) return
  browser.setItem('otp.language', chosen)
  const url = new URL(location)
  url.searchParams.delete('lang')
  history.replaceState(history.state, '', url)
  if (shown.word) notice(shown.word, shown)
  render()
})

// Where the system has no flags, a font of the page has them.
function needsFlags() {
  const pen = Object.assign(document.createElement('canvas'), { width: 20, height: 20 }).getContext('2d', { willReadFrequently: true })
  pen.font = '16px sans-serif'
  pen.fillText('🇨🇭', 0, 16)
  const { data } = pen.getImageData(0, 0, 20, 20)
  return !data.some((_, i) => i % 4 === 0 && Math.abs(data[i] - data[i + 1]) > 40) // letters have no colour
}

try {
  [settings] = await Promise.all([load('settings.json'), speak(wantedLanguage())])
} catch (error) {
  document.body.dataset.step = 'broken'
  throw error
}
numbers = new Numbers(settings)
document.documentElement.classList.toggle('flags', needsFlags())
if (settings.dev) {
  drawer = new Drawer({
    isWaiting: () => step() === 'code',
    written: number => numbers.written(number),
    take: code => { take(code); $('code').focus() },
  })
}

const kept = recall('otp.number')
number = numbers.regions.has(kept?.region) && typeof kept.digits === 'string' ? kept : { region: likelyRegion(), digits: '', international: false }
$('phone').value = numbers.format(number)

await begin()

// begin shows the account where there is one. While the service is away the session is not over: it is asked again, and
// whoever does not wait for it logs in anew.
async function begin() {
  if (isLoggedIn()) {
    const waits = () => step() === undefined || step() === 'phone'
    let user
    try {
      user = await withToken('GET', 'me')
    } catch (problem) {
      if (!waits()) return
      const wait = Math.max(3, problem.retryAfter || 0)
      problem.retryAfter = 0 // nobody has to try again
      show('phone')
      if (problem.code !== shown.word) accountFault(problem) // said once
      if (isLoggedIn()) setTimeout(() => step() === 'phone' && begin(), wait * 1000)
      return
    }
    if (!waits()) return
    account = user
    return showAccount()
  }
  if (history.state?.step === 'code' && alive()) show('code')
  else {
    history.replaceState({ step: 'phone' }, '')
    show('phone', { focus: matchMedia('(pointer: fine)').matches }) // no keyboard jumps up
  }
  drawer?.watch()
}
