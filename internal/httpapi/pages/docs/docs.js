// @ts-check
'use strict'

{ // of this script, not of the page
  // The theme is set before the page is drawn.
  document.documentElement.classList.toggle('dark-mode', matchMedia('(prefers-color-scheme: dark)').matches)
  addEventListener('DOMContentLoaded', () => {
    showTheme()
    showCalls()
  })

  /** Adds the button that changes between light and dark. */
  function showTheme() {
    const theme = document.documentElement.classList
    const button = document.createElement('button')
    const render = () => {
      const isDark = theme.contains('dark-mode')
      button.textContent = isDark ? '☀' : '☾'
      button.ariaLabel = button.title = isDark ? 'Light' : 'Dark'
      document.querySelector('meta[name=color-scheme]')?.setAttribute('content', isDark ? 'dark' : 'light')
    }
    button.className = 'theme'
    button.addEventListener('click', () => {
      theme.toggle('dark-mode')
      render()
    })
    render()
    document.body.prepend(button)
  }

  /** Shows the calls. The access token of a login is used for the calls that need one. */
  function showCalls() {
    const calls = SwaggerUIBundle({
      url: 'openapi.yaml',
      domNode: document.getElementById('calls'),
      validatorUrl: null,
      deepLinking: true,
      tryItOutEnabled: true,
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
      /** @param {SwaggerResponse} response */
      responseInterceptor(response) {
        const { pathname } = new URL(response.url)
        const token = response.body?.access_token
        const isLogin = pathname.endsWith('/otp/verify') || pathname.endsWith('/token/refresh')
        if (response.ok && isLogin && token) calls.preauthorizeApiKey('accessToken', token)
        return response
      },
    })
  }
}
