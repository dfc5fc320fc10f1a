// @ts-check
// The login page: a phone, a code, and the person who is logged in. This file puts its parts together and begins.

import { AccountStep } from './accountstep.js'
import { Problem } from './api.js'
import { showBrand } from './brand.js'
import { CodeStep } from './codestep.js'
import { $ } from './dom.js'
import { Drawer } from './drawer.js'
import { Language, load } from './language.js'
import { Notice } from './notice.js'
import { Phones } from './phones.js'
import { PhoneStep } from './phonestep.js'
import { Login } from './purposes.js'
import { likelyRegion, needsFlags } from './regions.js'
import { State } from './state.js'
import { Steps } from './steps.js'
import { Task } from './task.js'
import { Tokens } from './tokens.js'

/** @import { Page, Settings } from './_types.js' */

const language = new Language()
build(await loadSettings())

/** @returns {Promise<Settings>} */
async function loadSettings() {
  try {
    const [settings] = await Promise.all([load('settings.json'), language.speak(language.preferred())])
    return settings
  } catch (error) {
    document.body.dataset.step = 'broken'
    throw error
  }
}

/** @param {Settings} settings */
function build(settings) {
  const phones = new Phones(settings)
  const state = new State(new Login(login => account.verified(login)))
  state.recallTyped(region => phones.regions.has(region), () => likelyRegion(phones.regions, settings.default_region))
  document.documentElement.classList.toggle('flags', needsFlags())
  showBrand(settings)

  const notice = new Notice(language)
  const page = /** @type {Page} */ ({ settings, language, phones, state, notice, task: new Task() })
  page.tokens = new Tokens(() => account.noticeLogout())
  page.steps = new Steps(page)
  const account = new AccountStep(page)
  const code = new CodeStep(page)
  page.steps.add('phone', new PhoneStep(page))
  page.steps.add('code', code)
  page.steps.add('account', account)
  if (settings.dev) {
    page.drawer = new Drawer(page, arrived => {
      code.take(arrived)
      code.focus.focus()
    })
  }
  setInterval(() => {
    notice.tick()
    if (page.steps.current === 'code') code.tick()
    if (page.steps.current === 'account') account.tick()
  }, 500)
  $('language').addEventListener('change', () => changeLanguage(page))
  begin(page, account)
}

/** @param {Page} page */
async function changeLanguage({ notice, steps }) {
  const select = $('language', HTMLSelectElement)
  const chosen = select.value
  try {
    await language.speak(chosen)
  } catch {
    if (language.wanted !== chosen) return
    select.value = language.tag
    return notice.fault(new Problem(navigator.onLine ? 'unreachable' : 'offline'))
  }
  if (language.tag !== chosen) return
  language.remember()
  notice.render()
  steps.render()
}

/**
 * Shows the account if the person is logged in, and otherwise the step at which the tab was left. A login does not end
 * while the service cannot be reached: the page asks again, and offers a new login meanwhile.
 *
 * @param {Page} page
 * @param {AccountStep} account
 */
async function begin(page, account) {
  const { state, steps, tokens } = page
  if (tokens.isLoggedIn) return resume(page, account)
  if (history.state?.step === 'code' && state.isChallengeUnexpired) steps.open('code')
  else steps.replace('phone', { focus: matchMedia('(pointer: fine)').matches }) // no keyboard covers a small screen
}

/**
 * @param {Page} page
 * @param {AccountStep} account
 */
async function resume(page, account) {
  const { notice, steps, tokens } = page
  const isAwaited = () => steps.current === undefined || steps.current === 'phone'
  try {
    const user = await tokens.call('GET', 'me')
    if (isAwaited()) account.show(user)
  } catch (caught) {
    if (!isAwaited()) return
    const { code, retryAfter } = Problem.from(caught)
    steps.open('phone')
    // The problem is shown once, and without a countdown, because the page itself asks again.
    if (code !== notice.word) account.fault(new Problem(code))
    const again = () => steps.current === 'phone' && begin(page, account)
    if (tokens.isLoggedIn) setTimeout(again, Math.max(3, retryAfter || 0) * 1000)
  }
}
