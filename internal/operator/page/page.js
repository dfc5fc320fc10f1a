// The operator's page. It asks for numbers.json again and again and draws what it says; nothing is kept in the browser.

const pollEvery = 3000, giveUpAfter = 8000, hour = 3600
const enough = 20 // messages, for a share to mean something
const weak = 0.5 // of the messages of a route, answered
const languages = navigator.languages

const $ = id => document.getElementById(id)
const form = $('filters')
let numbers = null, sums = {}, answeredAt = null, timer = 0, turn = 0

// ---- words ----

const number = new Intl.NumberFormat(languages)
const compact = new Intl.NumberFormat(languages, { notation: 'compact' })
const percent = new Intl.NumberFormat(languages, { style: 'percent' })
const seconds = new Intl.NumberFormat(languages, { style: 'unit', unit: 'second', unitDisplay: 'narrow', maximumFractionDigits: 0 })
const hourAndMinute = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }
const clock = new Intl.DateTimeFormat(languages, hourAndMinute)
const clockSeconds = new Intl.DateTimeFormat(languages, { ...hourAndMinute, second: '2-digit' })
const day = new Intl.DateTimeFormat(languages, { ...hourAndMinute, weekday: 'short' })
const regionNames = new Intl.DisplayNames(languages, { type: 'region' })
const list = new Intl.ListFormat('en')

function regionName(code) {
  if (!code) return 'Unknown region'
  try {
    return regionNames.of(code)
  } catch {
    return code // such as 001, of numbers that belong to no country
  }
}
const providerName = name => (name === 'none' ? 'Not known' : name)
const isolated = text => `\u2068${text}\u2069` // it may read from right to left
const many = (n, one, more) => `${number.format(n)} ${n === 1 ? one : more}`
const at = t => clock.format(t * 1000)

const reasons = {
  resend_too_soon: ['Asked again too soon', 'OTP_RESEND_AFTER'],
  phone_limit: ['Too many messages to one phone', 'OTP_LIMIT_PHONE'],
  address_limit: ['Too many messages for one client address', 'OTP_LIMIT_IP'],
  daily_limit: ['Phone closed for a day after wrong codes', 'OTP_DAILY_ATTEMPTS'],
  destination_not_allowed: ['Region that gets no messages', 'SMS_REGIONS'],
  channel: ['No provider offers the channel', 'SMS_ROUTES'],
  unavailable: ['Redis did not answer, or too many messages wait', ''],
}
const outcomes = [
  ['verified', '', 'Right'],
  ['wrong', '', 'Wrong'],
  ['burnt', '', 'At a code burnt by wrong tries'],
  ['not_live', '', 'Expired, used or never asked for'],
  ['closed', '', 'Phone closed for a day'],
  ['not_redeemed', 'refused', 'Right, but banned, used or taken'],
  ['not_redeemed', 'unavailable', 'A store did not answer'],
]
const tries = ['wrong', 'burnt'] // those that somebody may be guessing with

// share is a/b in words. An hour may see more answers than messages.
function share(a, b) {
  if (!b) return '–'
  return a > b ? `> ${percent.format(1)}` : percent.format(a / b)
}

// ---- numbers ----

// A Sum adds up what happened in some hours.
class Sum {
  constructor(hours) {
    this.cells = new Map() // by event
    this.delays = numbers.delay_bounds.map(() => 0).concat(0)
    const known = new Map()
    for (const h of hours) {
      for (const c of h.counts) {
        const key = [c.event, c.region, c.provider, c.reason].join('\n')
        let cell = known.get(key)
        if (!cell) {
          cell = { region: '', provider: '', reason: '', ...c, n: 0 }
          known.set(key, cell)
          if (!this.cells.has(c.event)) this.cells.set(c.event, [])
          this.cells.get(c.event).push(cell)
        }
        cell.n += c.n
      }
      h.delays.forEach((n, i) => (this.delays[i] += n))
    }
  }
  n(event, { region, provider, reason } = {}) {
    let n = 0
    for (const c of this.cells.get(event) ?? []) {
      if ((region ?? c.region) === c.region && (provider ?? c.provider) === c.provider && (reason ?? c.reason) === c.reason) n += c.n
    }
    return n
  }
  all(events, is) {
    return events.reduce((n, e) => n + this.n(e, is), 0)
  }
  // failedTries are those of a provider; a message that nobody took counts beside them, without one.
  failedTries(is = {}) {
    return this.n('failed', is) - (is.provider && is.provider !== 'none' ? 0 : this.n('failed', { ...is, provider: 'none' }))
  }
  values(key, events) {
    return [...new Set((events ?? [...this.cells.keys()]).flatMap(e => this.cells.get(e) ?? []).map(c => c[key]))]
  }
  // within gives the seconds in which a part of the codes were answered, as far as the buckets tell.
  within(part) {
    const total = this.delays.reduce((a, b) => a + b, 0)
    let below = 0
    for (let i = 0; i < this.delays.length; i++) {
      const n = this.delays[i]
      if (n && below + n >= part * total) {
        const from = numbers.delay_bounds[i - 1] ?? 0, to = numbers.delay_bounds[i]
        return to === undefined ? Infinity : from + ((part * total - below) / n) * (to - from)
      }
      below += n
    }
    return null
  }
}

const now = () => Date.parse(numbers.now) / 1000
const currentHour = () => Math.floor(now() / hour) * hour
const startOf = h => Date.parse(h.hour) / 1000

// lastHours gives the sum of as many hours, this one included; each is worked out once for an answer.
function lastHours(n) {
  sums[n] ??= new Sum(numbers.hours.filter(h => startOf(h) > currentHour() - n * hour))
  return sums[n]
}

const time = s => (s === Infinity ? `over ${seconds.format(numbers.delay_bounds.at(-1))}` : seconds.format(Math.max(1, Math.round(s))))

// reporting are the providers that have said of any message that it was delivered.
let reporting = new Set()

// delivered gives how many of the messages of providers with reports were delivered, and how many there were.
function delivered(sum, is) {
  let of = 0
  for (const p of sum.values('provider', ['sent'])) {
    if (reporting.has(p) && (!is.provider || is.provider === p)) of += sum.n('sent', { ...is, provider: p })
  }
  return { n: sum.n('delivered', is), of, known: of > 0 || sum.n('delivered', is) > 0 }
}

// ---- the verdict ----

// verdict says in words how it goes, by this hour and the last, whatever the filters say.
function verdict() {
  const sum = lastHours(2), since = at(currentHour() - hour), points = []
  let mood = 'good'
  const say = (worse, text) => {
    points.push(text)
    if (mood !== 'bad') mood = worse
  }
  const sent = sum.n('sent'), verified = sum.n('verified'), lost = sum.n('failed', { provider: 'none' })

  if (numbers.outbox?.oldest_seconds > 10) {
    say('bad', `${many(numbers.outbox.messages, 'message waits', 'messages wait')} for a provider, the oldest for ${seconds.format(numbers.outbox.oldest_seconds)}.`)
  }
  // Where providers take nothing, nothing is sent whose answers could be missing.
  const stuck = sum.values('region', ['failed'])
    .map(region => ({ region, n: sum.n('failed', { region, provider: 'none' }), sent: sum.n('sent', { region }) }))
    .filter(({ n, sent }) => n >= 5 && n > 0.1 * (sent + n))
    .sort((a, b) => b.n - a.n)
  for (const r of stuck.slice(0, 5)) {
    say('bad', `${isolated(regionName(r.region))}: ${r.sent ? `${number.format(r.n)} of ${number.format(r.sent + r.n)} messages were` : `none of ${number.format(r.n)} messages was`} taken by ${r.sent ? 'no' : 'a'} provider.`)
  }
  if (stuck.length > 5) say('bad', `${many(stuck.length - 5, 'more country is', 'more countries are')} without a provider; see the table.`)
  if (!stuck.length && lost > 0.02 * (sent + lost)) {
    say(lost > 0.1 * (sent + lost) ? 'bad' : 'watch', `${many(lost, 'message was', 'messages were')} taken by no provider.`)
  }
  const routes = []
  for (const region of sum.values('region', ['sent'])) {
    for (const provider of sum.values('provider', ['sent'])) {
      const n = sum.n('sent', { region, provider }), right = sum.n('verified', { region, provider })
      if (n >= enough && right < weak * n) routes.push({ region, provider, n, right })
    }
  }
  routes.sort((a, b) => a.right / a.n - b.right / b.n)
  for (const r of routes.slice(0, 5)) {
    const d = delivered(sum, { region: r.region, provider: r.provider })
    const reported = d.known ? ` The provider reports ${share(d.n, d.of)} as delivered.` : ''
    say('bad', `${isolated(regionName(r.region))} by ${r.provider}: ${r.right ? `only ${percent.format(r.right / r.n)}` : 'none'} of ${number.format(r.n)} messages ${r.right ? 'were' : 'was'} answered.${reported}` +
      (r.right < 0.1 * r.n ? ' They do not arrive, or nobody real asks for them.' : ''))
  }
  if (routes.length > 5) say('bad', `${many(routes.length - 5, 'more route is', 'more routes are')} weak; see the tables.`)
  for (const provider of sum.values('provider', ['failed'])) {
    const failed = provider === 'none' ? 0 : sum.n('failed', { provider }), took = sum.n('sent', { provider })
    if (failed >= 5 && failed > 0.2 * (failed + took)) say('watch', `${provider} failed ${percent.format(failed / (failed + took))} of its tries; other providers stood in where there are any.`)
  }
  const away = sum.n('refused', { reason: 'unavailable' })
  if (away) say('watch', `${many(away, 'request was', 'requests were')} refused because Redis did not answer or too many messages waited.`)
  const unanswered = sum.n('not_redeemed', { reason: 'unavailable' })
  if (unanswered) say('watch', `${many(unanswered, 'code', 'codes')} that came back could not be redeemed: a store did not answer.`)
  for (const provider of numbers.resting) say('watch', `${provider} rests: it failed again and again, or asked for a pause.`)
  const burnt = sum.n('burnt')
  if (burnt >= 10 && burnt > 0.05 * verified) say('watch', `${number.format(burnt)} tries at codes that were burnt by wrong tries: somebody may be guessing.`)

  if (!numbers.outbox) return { mood: 'bad', points, short: '!', headline: 'Redis does not answer: nobody gets a code, and no code is checked.' }
  if (!sent) {
    const asked = sum.n('requested') + lost > 0
    return { mood: asked ? (points.length ? mood : 'watch') : 'none', points, headline: asked ? `Messages were requested since ${since}, and none was sent.` : `No message was sent since ${since}.`, short: '' }
  }
  const right = Math.min(verified, sent), rate = percent.format(right / sent), half = sum.within(0.5)
  const fast = half === null ? '' : `; half within ${time(half)}`
  if (sent < enough) {
    return { mood: points.length ? mood : 'none', points, short: '', headline: `${number.format(right)} of ${many(sent, 'message', 'messages')} sent since ${since} ${right === 1 ? 'was' : 'were'} answered${fast}.` }
  }
  const good = right >= weak * sent
  return {
    mood: good ? mood : 'bad', points, short: rate,
    headline: `${good ? (routes.length || stuck.length ? 'Most codes arrive' : 'Codes arrive') : 'Codes do not arrive'}: ${good ? '' : 'only '}${rate} of ${number.format(sent)} messages sent since ${since} were answered${fast}.`,
  }
}

// ---- drawing ----

function el(tag, properties = {}, ...children) {
  const e = document.createElement(tag)
  for (const [k, v] of Object.entries(properties)) {
    if (k in e) e[k] = v
    else e.setAttribute(k, v)
  }
  e.append(...children)
  return e
}

// table fills a table. A head or a cell is text or nodes; the first of a row is its head.
function table(id, heads, rows, none) {
  const head = el('thead', {}, el('tr', {}, ...heads.map(h => el('th', { scope: 'col' }, h))))
  const body = el('tbody', {}, ...rows.map(cells => el('tr', {}, ...cells.map((c, i) => (i ? el('td', {}, c) : el('th', { scope: 'row' }, c))))))
  if (!rows.length) body.append(el('tr', {}, el('td', { colSpan: heads.length, className: 'note' }, none)))
  $(id).replaceChildren(head, body)
}

function bar(part, kind) {
  const b = el('div', { className: `bar ${kind}` })
  b.style.width = `${100 * Math.min(1, Math.max(0, part || 0))}%`
  return b
}

const ruler = () => el('span', { className: 'unseen' }, 'As a bar')
const foreign = text => el('bdi', { lang: languages[0] }, text)

function rate(right, sent) {
  if (!sent) return '–'
  const text = share(right, sent)
  return sent >= enough && right < weak * sent ? el('span', { className: 'weak' }, `▼ ${text}`) : text
}

function drawVerdict() {
  const v = verdict()
  $('verdict').dataset.mood = v.mood
  setText($('headline'), v.headline)
  $('points').replaceChildren(...v.points.map(p => el('li', {}, p)))
  document.title = v.short ? `${v.short} · Dekamond OTP` : 'Dekamond OTP'
}

// setText leaves a text alone that is the same, so that it can be selected.
function setText(e, text) {
  if (e.textContent !== text) e.textContent = text
}

function drawFilters() {
  const all = lastHours(48)
  const fill = (select, options) => {
    const chosen = select.value
    if (chosen && !options.some(([v]) => v === chosen)) options.push([chosen, chosen.slice(1)])
    if (options.map(String).join() === [...select.options].map(o => `${o.value},${o.text}`).join()) return
    select.replaceChildren(...options.map(([value, text]) => el('option', { value }, text)))
    select.value = chosen
  }
  const byName = (a, b) => a[1].localeCompare(b[1])
  // A value begins with "=", so that the unknown region is not the same as all of them.
  fill(form.region, [['', 'All'], ...all.values('region').map(r => [`=${r}`, regionName(r)]).sort(byName)])
  fill(form.provider, [['', 'All'], ...all.values('provider', ['sent', 'failed', 'delivered']).filter(p => p && p !== 'none').map(p => [`=${p}`, p]).sort(byName)])
  setText($('since'), `Since ${at(currentHour() - hour)}`)
}

function draw() {
  reporting = new Set(lastHours(48).values('provider', ['delivered']))
  $('about').textContent = `${numbers.version ? `${numbers.version} · ` : ''}${many(numbers.copies, 'copy', 'copies')}`
  drawVerdict()
  drawNotice()
  $('welcome').hidden = numbers.hours.length > 0
  $('numbers').hidden = !numbers.hours.length
  if (!numbers.hours.length) {
    if (numbers.outbox) setText($('headline'), 'Ready. Nobody has asked for a code in the last 48 hours.')
    return
  }
  drawFilters()
  const hours = Number(form.hours.value), chosen = v => (v ? v.slice(1) : undefined)
  const region = chosen(form.region.value), provider = chosen(form.provider.value)
  const sum = lastHours(hours), is = { region, provider }
  drawTiles(sum, region)
  drawFunnel(sum, is)
  drawDelays(sum)
  drawCharts(Math.max(24, hours), is)
  drawRegions(sum, is)
  drawProviders(sum, is)
  drawAnswers(sum, { region })
}

function drawTiles(sum, region) {
  const o = numbers.outbox
  setText($('waiting'), o ? number.format(o.messages) : '–')
  setText($('waiting-note'), !o ? 'Redis does not answer' : o.messages ? `the oldest for ${seconds.format(o.oldest_seconds)}` : 'for a provider, right now')
  const half = sum.within(0.5), most = sum.within(0.9)
  setText($('median'), half === null ? '–' : time(half))
  setText($('median-note'), half === null ? 'nobody has answered yet' : `nine of ten within ${time(most)}`)
  const wrong = sum.all(tries, { region })
  setText($('wrong'), number.format(wrong))
  setText($('wrong-note'), `${number.format(sum.n('burnt', { region }))} of them at burnt codes`)
  const refused = sum.n('refused', { region }), asked = refused + sum.n('requested', { region })
  setText($('refused'), number.format(refused))
  setText($('refused-note'), asked ? `${share(refused, asked)} of all that were made` : 'none was made')
}

function drawFunnel(sum, is) {
  const requested = is.provider ? null : sum.n('requested', is), sent = sum.n('sent', is), d = delivered(sum, is), verified = sum.n('verified', is)
  const most = Math.max(requested ?? 0, sent, verified, 1)
  table('funnel', ['Step', ruler(), 'Messages', 'Share'], [
    ['Requested', bar(requested / most, 'requested'), requested === null ? '–' : number.format(requested), requested === null ? '' : share(requested, requested)],
    ['Sent', bar(sent / most, 'sent'), number.format(sent), requested === null ? '' : `${share(sent, requested)} of requested`],
    ['Delivered', bar(d.n / most, 'delivered'), d.known ? number.format(d.n) : 'no reports', d.known ? `${share(d.n, d.of)} of ${d.of === sent ? 'sent' : `${number.format(d.of)} sent`}` : ''],
    ['Verified', bar(verified / most, 'verified'), number.format(verified), `${share(verified, sent)} of sent`],
  ])
  const lost = is.provider ? 0 : sum.n('failed', { ...is, provider: 'none' }), notes = []
  if (lost) notes.push(`${many(lost, 'message was', 'messages were')} taken by no provider.`)
  if (is.provider) notes.push('Requests, refusals and wrong tries belong to no provider.')
  if (d.known && d.of < sent) notes.push('Delivered: of the messages by providers that report.')
  setText($('funnel-note'), notes.join(' '))
}

function drawDelays(sum) {
  const bounds = numbers.delay_bounds, most = Math.max(1, ...sum.delays)
  const label = i => (i === 0 ? `under ${seconds.format(bounds[0])}` : i === bounds.length ? `over ${seconds.format(bounds[i - 1])}` : `${number.format(bounds[i - 1])}–${seconds.format(bounds[i])}`)
  const total = sum.delays.reduce((a, b) => a + b, 0)
  const rows = total ? sum.delays.map((n, i) => [el('span', { className: 'bound' }, label(i)), bar(n / most, 'verified'), number.format(n), share(n, total)]) : []
  table('delays', ['Time', ruler(), 'Codes', 'Share'], rows, 'Nobody has answered yet.')
}

const worst = (a, b) => (b.tried >= enough) - (a.tried >= enough) || (a.tried >= enough ? a.right / a.tried - b.right / b.tried : b.tried - a.tried)

function deliveredText(sum, is) {
  if (!sum.n('sent', is)) return '–'
  const d = delivered(sum, is)
  return d.known ? share(d.n, d.of) : 'no reports'
}

function drawRegions(sum, { provider, region: only }) {
  const rows = sum.values('region').filter(r => only === undefined || r === only).map(region => {
    const is = { region, provider }
    const sent = sum.n('sent', is), failed = sum.n('failed', { region, provider: provider ?? 'none' })
    return { region, is, sent, failed, tried: sent + failed, right: sum.n('verified', is) }
  }).sort((a, b) => worst(a, b) || regionName(a.region).localeCompare(regionName(b.region)))
  table('regions', ['Region', 'Answered', 'Requested', 'Sent', 'Delivered', 'Verified', 'Failed', 'Wrong tries', 'Refused'], rows.map(r => [
    foreign(regionName(r.region)), rate(r.right, r.sent), provider ? '–' : number.format(sum.n('requested', r.is)), number.format(r.sent), deliveredText(sum, r.is), number.format(r.right),
    number.format(r.failed),
    provider ? '–' : number.format(sum.all(tries, r.is)), provider ? '–' : number.format(sum.n('refused', r.is)),
  ]), 'Nothing happened in this time.')
}

function drawProviders(sum, { region, provider: only }) {
  const names = sum.values('provider', ['sent', 'failed', 'delivered', 'verified']).filter(p => p && (only === undefined || p === only))
  const rows = names.map(provider => {
    const is = { region, provider }
    const sent = sum.n('sent', is)
    return { provider, is, sent, tried: sent, right: sum.n('verified', is), failed: provider === 'none' ? 0 : sum.n('failed', is) }
  }).filter(r => r.sent || r.right || r.failed).sort((a, b) => worst(a, b) || a.provider.localeCompare(b.provider))
  table('providers', ['Provider', 'Answered', 'Sent', 'Delivered', 'Verified', 'Failed tries'], rows.map(r => [
    providerName(r.provider), rate(r.right, r.sent), number.format(r.sent), deliveredText(sum, r.is), number.format(r.right), r.failed ? `${number.format(r.failed)} (${share(r.failed, r.failed + r.sent)})` : number.format(0),
  ]), 'No message was sent in this time.')
  setText($('providers-note'), rows.some(r => r.provider === 'none') ? 'Not known: codes without a message, of test numbers, or answered before it was noted who had carried them.' : '')
}

function drawAnswers(sum, is) {
  const answers = outcomes.map(([event, reason, text]) => [text, sum.n(event, { ...is, reason }), event === 'verified' ? 'verified' : 'wrong']).filter(([, n]) => n)
  const total = answers.reduce((t, [, n]) => t + n, 0)
  table('answers', ['Answer', ruler(), 'Times', 'Share'], answers.map(([text, n, kind]) => [text, bar(n / total, kind), number.format(n), share(n, total)]), 'No code came back in this time.')
  const refusals = sum.values('reason', ['refused']).map(r => [r, sum.n('refused', { ...is, reason: r })]).filter(([, n]) => n).sort((a, b) => b[1] - a[1])
  const refused = refusals.reduce((t, [, n]) => t + n, 0)
  table('refusals', ['Reason', ruler(), 'Times', 'Share'], refusals.map(([reason, n]) => {
    const [text, setting] = reasons[reason] ?? [reason || 'No reason given', '']
    return [el('span', {}, text, setting && ' ', setting && el('code', {}, setting)), bar(n / refused, 'refused'), number.format(n), share(n, refused)]
  }), 'No request was refused in this time.')
}

// ---- charts ----

const charts = new Map()

const lines = {
  messages: [
    { kind: 'sent', name: 'Sent', shape: 'bars' },
    { kind: 'verified', name: 'Verified', shape: 'bars' },
    { kind: 'requested', name: 'Requested', shape: 'dashed' },
    { kind: 'delivered', name: 'Delivered', shape: 'dotted' },
  ],
  trouble: [
    { kind: 'refused', name: 'Refused requests', shape: 'line' },
    { kind: 'wrong', name: 'Wrong tries', shape: 'dashed' },
    { kind: 'failed', name: 'Failed tries of providers', shape: 'dotted' },
  ],
}

function drawCharts(hours, is) {
  const byStart = new Map(numbers.hours.map(h => [startOf(h), h]))
  const starts = Array.from({ length: hours }, (_, i) => currentHour() - (hours - 1 - i) * hour)
  const sums = starts.map(t => new Sum(byStart.has(t) ? [byStart.get(t)] : []))
  const column = {
    requested: s => (is.provider ? null : s.n('requested', is)), sent: s => s.n('sent', is), delivered: s => (is.provider && !reporting.has(is.provider) ? null : s.n('delivered', is)), verified: s => s.n('verified', is),
    refused: s => (is.provider ? null : s.n('refused', is)), wrong: s => (is.provider ? null : s.all(tries, is)), failed: s => s.failedTries(is),
  }
  for (const [id, series] of Object.entries(lines)) {
    drawChart(id, series, [starts.map(t => t + hour / 2), ...series.map(s => sums.map(column[s.kind]))])
  }
  if (!$('by-hour').open) return
  const all = [...lines.messages, ...lines.trouble]
  const cell = n => (n === null ? '–' : number.format(n))
  table('hours', ['Hour from', ...all.map(s => s.name)], starts.map((t, i) => [day.format(t * 1000), ...all.map(s => cell(column[s.kind](sums[i])))]).reverse())
}

function drawChart(id, series, data) {
  const totals = series.filter((s, i) => !data[i + 1].includes(null)).map(s => `${s.name} ${number.format(data[series.indexOf(s) + 1].reduce((a, b) => a + b, 0))}`)
  $(id).setAttribute('aria-label', `${id === 'messages' ? 'Messages' : 'Trouble'} by hour in the last ${data[0].length} hours: ${list.format(totals)}. The table below has each hour.`)
  const old = charts.get(id)
  if (old) {
    old.setData(data)
    return
  }
  $(`${id}-legend`).replaceChildren(...series.map(s => el('span', {}, el('i', { className: `${s.kind} ${s.shape}` }), s.name)))
  const style = getComputedStyle($(id)), colour = name => resolve(`--${name}`)
  const ratio = devicePixelRatio
  const axis = { stroke: colour('quiet'), grid: { stroke: colour('line'), width: 1 / ratio }, ticks: { show: false }, font: `12px ${style.fontFamily}` }
  const chart = new uPlot({
    ...size($(id)), legend: { show: false }, padding: [8, 24, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: true, range: (u, min, max) => [min - hour / 2, max + hour / 2] }, y: { range: (u, min, max) => [0, Math.max(4, max * 1.1)] } },
    axes: [
      { ...axis, space: 60, values: (u, splits) => splits.map(t => at(t)) },
      { ...axis, size: 52, incrs: steps, values: (u, splits) => splits.map(n => compact.format(n)) },
    ],
    series: [{}, ...series.map(s => ({
      label: s.name, stroke: colour(s.kind), points: { show: false },
      ...(s.shape === 'bars'
        ? { fill: colour(s.kind), width: 0, paths: uPlot.paths.bars({ size: [0.85, 60] }) }
        : { width: 2, dash: { dashed: [7, 4], dotted: [2, 4] }[s.shape], points: { show: true, size: 5, fill: colour(s.kind) }, paths: uPlot.paths.linear() }),
    }))],
    hooks: { setCursor: [u => readout(id, series, u)] },
  }, data, $(id))
  charts.set(id, chart)
}

const steps = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].flatMap(n => [n, 2 * n, 5 * n])

function readout(id, series, u) {
  const i = u.cursor.idx
  const text = i === null || i === undefined ? 'Point at an hour to read it.'
    : `${isolated(day.format((u.data[0][i] - hour / 2) * 1000))} to ${at(u.data[0][i] + hour / 2)}: ${series.map((s, k) => `${s.name.toLowerCase()} ${u.data[k + 1][i] === null ? '–' : number.format(u.data[k + 1][i])}`).join(', ')}`
  setText($(`${id}-readout`), text)
}

const size = e => ({ width: Math.max(200, e.clientWidth), height: e.clientHeight })

// resolve gives a colour as a canvas takes it: of those for light and dark, the one that holds.
function resolve(name) {
  const probe = el('i')
  probe.style.color = `var(${name})`
  document.body.append(probe)
  const colour = getComputedStyle(probe).color
  probe.remove()
  return colour
}

new ResizeObserver(() => charts.forEach((c, id) => c.setSize(size($(id))))).observe($('numbers'))
for (const changes of ['(prefers-color-scheme: dark)', '(forced-colors: active)']) {
  matchMedia(changes).addEventListener('change', () => {
    charts.forEach(c => c.destroy())
    charts.clear()
    if (numbers) draw()
  })
}

// ---- asking ----

function drawNotice() {
  const lost = answeredAt === null ? '' : `The service does not answer. These are the numbers of ${clockSeconds.format(answeredAt)}.`
  let text = ''
  if ($('live').dataset.state === 'lost') text = lost || 'The service does not answer.'
  else if (numbers && !numbers.shared) {
    text = numbers.shared_at
      ? `Redis does not answer: what other copies count is missing since ${clockSeconds.format(Date.parse(numbers.shared_at))}.`
      : 'Redis does not answer: these are the numbers of this copy alone, since it started.'
  }
  setText($('notice'), text)
  $('notice').hidden = !text
}

function live(state, text) {
  $('live').dataset.state = state
  setText($('live-text'), text)
  document.body.classList.toggle('stale', state === 'lost')
  drawNotice()
}

async function ask() {
  try {
    const response = await fetch('numbers.json', { cache: 'no-store', signal: AbortSignal.timeout(giveUpAfter) })
    return response.ok ? await response.json() : null
  } catch {
    return null
  }
}

async function poll() {
  clearTimeout(timer)
  if (document.hidden) return
  const asked = ++turn, answer = await ask()
  if (asked !== turn) return // another poll has begun
  if (answer) {
    numbers = answer
    sums = {}
    answeredAt = Date.now()
    live('live', 'Live')
    draw()
  } else {
    live('lost', 'No answer')
    document.title = 'No answer · Dekamond OTP'
    if (!numbers) setText($('headline'), 'No numbers yet.')
  }
  timer = setTimeout(poll, pollEvery)
}

form.addEventListener('input', () => numbers && draw())
$('by-hour').addEventListener('toggle', () => numbers && draw())
form.addEventListener('submit', e => e.preventDefault())
document.addEventListener('visibilitychange', poll)
poll()
