package httpapi

import (
	"bufio"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// BenchmarkStrict measures what the check costs for a request as a browser sends it through a proxy.
func BenchmarkStrict(b *testing.B) {
	const head = "POST /otp/request HTTP/1.1\r\n" +
		"Host: login.example.com\r\n" +
		"X-Forwarded-For: 198.51.100.7\r\n" +
		"X-Forwarded-Proto: https\r\n" +
		"Content-Length: 25\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0\r\n" +
		"Content-Type: application/json\r\n" +
		"Accept: */*\r\n" +
		"Origin: https://login.example.com\r\n" +
		"Sec-Fetch-Site: same-origin\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-GB,en;q=0.9,fa;q=0.8\r\n\r\n"
	var c fasthttp.RequestCtx
	if err := c.Request.Header.Read(bufio.NewReader(strings.NewReader(head))); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !isStrict(&c) {
			b.Fatal("the request is refused")
		}
	}
}
