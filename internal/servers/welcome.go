package servers

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"dekamond-otp/internal/address"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/sms"
)

const welcome = `
Dekamond OTP answers on http://%[1]s. Try it:

%[2]s
  curl -i http://%[1]s/otp/request -H 'Content-Type: application/json' -d '{"phone":"%[3]s"}'
  curl -i http://%[1]s/otp/verify -H 'Content-Type: application/json' -d '{"phone":"%[3]s","code":"THE CODE"}'

`

// Welcome prints how a developer can try the API, and where the operator's page is, unless its listener is nil. It
// names only what answers. It writes nothing in production.
func Welcome(w io.Writer, c *config.Config, api, operator net.Listener) {
	if c.Production {
		return
	}
	var pages strings.Builder
	own := func(l net.Listener) string { return address.Reachable(l.Addr().String()) }
	page := func(l net.Listener, path, does string) {
		fmt.Fprintf(&pages, "  http://%s/%-5s %s\n", own(l), path, does)
	}
	if c.LoginPage {
		page(api, "", "is a login page")
	}
	page(api, "docs", "describes every endpoint and can call it")
	if operator != nil {
		page(operator, "", "shows whether codes arrive")
	}
	fmt.Fprintf(w, welcome, own(api), pages.String(), example(c))
}

// example returns a phone that may receive messages. If messages are really sent it is not a phone, because it could be
// someone's.
func example(c *config.Config) string {
	isReal := func(provider string) bool {
		d, _ := sms.Describe(provider)
		return !d.Development
	}
	if slices.ContainsFunc(c.UsedProviders(), isReal) {
		return "YOUR NUMBER"
	}
	const usual = "IR"
	numbers := make(map[string]string)
	regions, _ := phone.Regions(c.SMSRegions)
	for _, r := range regions {
		numbers[r.Code] = "+" + r.Calling + r.Example
	}
	if numbers[usual] != "" || len(regions) == 0 {
		return "+989121234567"
	}
	return cmp.Or(numbers[c.DefaultRegion], numbers[regions[0].Code])
}
