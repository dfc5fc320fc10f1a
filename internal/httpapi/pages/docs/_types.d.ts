// What docs.js uses of swagger-ui-bundle.js, which is a script and no module.

type ViewNode = object // of React
type Component = (properties: System) => ViewNode

interface System { // the parts of Swagger UI
  React: { createElement(type: string | Component, properties?: object | null, ...children: unknown[]): ViewNode }
  getComponent(name: string, isContainer?: boolean): Component
  text?: string // of a link
  specSelectors: { loadingStatus(): 'loading' | 'success' | 'failed' | 'failedConfig' }
  layoutActions: { show(path: string[], isShown: boolean): void }
  preauthorizeApiKey(scheme: string, token: string): void
}

interface SwaggerResponse {
  url: string
  ok: boolean
  body?: { access_token?: string }
}

declare function SwaggerUIBundle(options: object): System

interface DocsSettings { // docs/settings.json
  login_page: boolean
  example_phone: string // is logged in by the button; '' in production
}

interface Problem { // of RFC 9457; and the answers of which docs.js reads a part
  title?: string
  retry_after?: number
  code?: string
  access_token?: string
  messages?: { code: string }[]
}
