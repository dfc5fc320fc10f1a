// @ts-check
// The page of the calls: Swagger UI with the calls first, and in development a button that logs in.

/** A Refusal is an answer that is no success, in words. */
class Refusal extends Error {}

const calls = SwaggerUIBundle({
  url: 'openapi.yaml',
  domNode: find('calls'),
  layout: 'CallsFirst',
  plugins: [callsFirst],
  validatorUrl: null,
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  responseInterceptor: useToken,
  onComplete: showSettings,
})

/** The names of what Swagger UI leaves without a name for screen readers, by selector. */
const names = {
  'textarea.body-param__text': 'Body',
  'select.examples-select-element': 'Example',
}
new MutationObserver(() => {
  for (const [selector, name] of Object.entries(names)) {
    for (const field of find('calls').querySelectorAll(selector)) field.setAttribute('aria-label', name)
  }
}).observe(find('calls'), { childList: true, subtree: true })

/**
 * Returns a part of the page.
 *
 * @param {string} id
 */
function find(id) {
  const found = document.getElementById(id)
  if (!found) throw new TypeError(`no #${id}`)
  return found
}

/**
 * A plugin of Swagger UI with a layout that shows the calls before the text about them.
 *
 * @param {System} system
 */
function callsFirst({ React: { createElement: h } }) {
  /** @type {Component} */
  const CallsFirst = ({ getComponent, specSelectors }) => {
    /** @type {(name: string) => ViewNode} */
    const part = name => h(getComponent(name, true))
    const status = specSelectors.loadingStatus()
    if (status !== 'success') {
      const text = status === 'loading' ? 'Loading…' : 'The calls could not be loaded. Reload the page to try again.'
      return h('div', { className: 'swagger-ui' }, h('p', { role: 'status' }, text))
    }
    return h(
      'div',
      { className: 'swagger-ui' },
      h(getComponent('SvgAssets')),
      h('div', { className: 'authorize' }, part('AuthorizeBtnContainer')),
      h('h2', { className: 'unseen' }, 'All calls'),
      part('operations'),
      part('Models'),
      h('div', { id: 'about' }, part('InfoContainer')),
      part('errors'),
    )
  }
  /** The path of a call stands in a button, which may hold no link. @type {Component} */
  const DeepLink = ({ text }) => h('span', null, text)
  return { components: { CallsFirst, DeepLink } }
}

/**
 * Uses the access token of a login for the calls that need one.
 *
 * @param {SwaggerResponse} response
 */
function useToken(response) {
  const { pathname } = new URL(response.url)
  const token = response.body?.access_token
  const isLogin = pathname.endsWith('/otp/verify') || pathname.endsWith('/token/refresh')
  if (response.ok && isLogin && token) calls.preauthorizeApiKey('accessToken', token)
  return response
}

/** Shows what depends on the settings of the service, once the calls are there. */
async function showSettings() {
  const response = await fetch('docs/settings.json')
  /** @type {DocsSettings} */
  const { login_page, example_phone } = await response.json()
  find('login-page').hidden = !login_page
  if (!example_phone) return
  const form = find('login')
  find('login-text').textContent = `In development only: requests a code for ${example_phone}, an example number, `
    + 'reads it from /dev/messages, and sends it back.'
  form.hidden = false
  form.addEventListener('submit', event => {
    event.preventDefault()
    logIn(example_phone)
  })
}

/**
 * Logs the phone in, and tells how far that has come.
 *
 * @param {string} phone
 */
async function logIn(phone) {
  const state = find('login-state')
  const button = /** @type {HTMLButtonElement} */ (find('login').querySelector('button'))
  button.disabled = true
  state.dataset.mood = ''
  state.textContent = 'Logging in…'
  try {
    calls.preauthorizeApiKey('accessToken', await tokenOf(phone))
    state.dataset.mood = 'good'
    state.replaceChildren('You are logged in, and the calls use your access token. ', callLink())
  } catch (error) {
    state.dataset.mood = 'bad'
    state.textContent = error instanceof Refusal ? error.message : 'The service does not answer.'
  } finally {
    button.disabled = false
  }
}

/** Returns the link that opens GET /me. */
function callLink() {
  const link = document.createElement('a')
  link.href = '#/user/getMe'
  link.textContent = 'Try GET /me'
  link.addEventListener('click', () => {
    calls.layoutActions.show(['operations', 'user', 'getMe'], true)
    requestAnimationFrame(() => find('operations-user-getMe').scrollIntoView({ block: 'start' }))
  })
  return link
}

/**
 * Returns the access token of a new login. A code that is live already is used too, because it can be sent again only
 * after a while.
 *
 * @param {string} phone
 */
async function tokenOf(phone) {
  const request = await call('otp/request', { phone })
  const code = await shownCode(phone, request.title ? 1 : 20)
  if (!code) throw new Refusal(explain('POST /otp/request', request))
  const login = await call('otp/verify', { phone, code })
  if (!login.access_token) throw new Refusal(explain(request.title ? 'POST /otp/request' : 'POST /otp/verify',
    request.title ? request : login))
  return login.access_token
}

/**
 * Returns the newest code that was shown for a phone. A message is on its way for a moment, so it asks several times.
 *
 * @param {string} phone
 * @param {number} times
 * @returns {Promise<string | undefined>}
 */
async function shownCode(phone, times) {
  const shown = await call(`dev/messages?phone=${encodeURIComponent(phone)}`)
  if (shown.title) throw new Refusal(explain('GET /dev/messages', shown))
  const code = shown.messages?.[0]?.code
  if (code || times === 1) return code
  await new Promise(wake => setTimeout(wake, 250))
  return shownCode(phone, times - 1)
}

/**
 * Makes a call and returns its answer, which is a problem if the call failed.
 *
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<Problem>}
 */
async function call(path, body) {
  const headers = { 'Accept': 'application/json', 'Content-Type': 'application/json' }
  const response = await fetch(path, body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers })
  return response.json()
}

/**
 * @param {string} name of the call that failed
 * @param {Problem} problem
 */
function explain(name, { title, retry_after }) {
  const wait = retry_after ? ` Try again in ${retry_after} s.` : ''
  return `${name}: ${title ?? 'No message has been shown.'}${wait}`
}
