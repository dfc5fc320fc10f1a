package text

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const chromeHeader = "fa-IR,fa;q=0.9,en-US;q=0.8,en;q=0.7"

func TestLocale(t *testing.T) { //nolint:funlen // a table
	tests := []struct{ asked, header, region, want string }{
		{"", "", "", "en"},
		{"fa", "", "", "fa"},
		{"fa-IR", "de", "TR", "fa"},
		{"fa_IR", "", "", "fa"},
		{"FA", "", "", "fa"},
		{"fa-AF", "", "", "fa"},
		{"pes", "", "", "fa"},
		{"ar-EG", "", "", "ar"},
		{"de-AT", "", "", "de"},
		{"en-GB", "", "IR", "en"},
		{"es-419", "", "", "es"},
		{"fa-IR-u-nu-latn", "", "", "fa"},
		{"en-US-u-mu-celsius", "", "IR", "en"},
		{"fa-u-ca-persian-fw-sat-hc-h23-mu-celsius-nu-arabext", "", "", "fa"},
		{"tr-TR-t-fa-m0-und-u-co-search-x-app-1", "", "", "tr"},
		{"de-1996-Latn", "", "TR", "tr"}, // subtags in the wrong order are not well-formed
		{"de-DE-1901-1996-a-extended-sequence", "", "TR", "de"},
		{"fa-XX", "", "", "fa"},
		{"fa-Qqqq-IR", "", "TR", "fa"},

		// A language that is not available is passed over, although the matcher finds a near one.
		{"pt-BR", "de-CH,de;q=0.9", "IR", "de"},
		{"zh", "", "IR", "fa"},
		{"zh-CN", "zh-CN,zh;q=0.9", "CN", "en"},
		{"ku", "", "IR", "fa"},
		{"ku", "", "", "en"},
		{"ckb", "", "", "en"},
		{"ps", "", "TR", "tr"},
		{"az", "", "RU", "ru"},
		{"uk", "", "UA", "en"},
		{"uz", "", "", "en"},
		{"nds", "", "AT", "de"},
		{"ru-Latn", "", "", "en"},

		{"", chromeHeader, "DE", "fa"},
		{"", "*", "IR", "fa"},
		{"", "zh-CN,zh;q=0.9,fa;q=0.5", "DE", "fa"},
		{"", "en;q=0.1, fa;q=0.9", "", "fa"},
		{"", "fa;q=0", "DE", "de"},
		{"", "xx, tr;q=0.5, de;q=0.9", "US", "de"},
		{"", "de;q=0.1, fr;q=oops", "US", "de"},
		{"", ", ,fr", "US", "fr"},
		{"", "fa;q=0, tr", "DE", "tr"},
		{"", "tr;q=NaN", "", "tr"},
		{"", ",,, fr ,,", "", "fr"},

		{"", "", "IR", "fa"},
		{"", "", "AF", "fa"},
		{"", "", "AE", "ar"},
		{"", "", "IQ", "ar"},
		{"", "", "TR", "tr"},
		{"", "", "AT", "de"},
		{"", "", "MX", "es"},
		{"", "", "SN", "fr"},
		{"", "", "KZ", "ru"},
		{"", "", "US", "en"},
		{"", "", "AZ", "en"},
		{"", "", "KG", "en"},
		{"", "", "001", "en"},
		{"", "", "ZZ", "en"},
		{"", "", "AQ", "en"},

		// Input that is not understood is passed over.
		{"und", "und", "IR", "fa"},
		{"mul", "root", "IR", "fa"},
		{"x-fa", "zxx", "IR", "fa"},
		{"fa\x00", "fa\x00", "TR", "tr"},
		{"f", "f", "x", "en"},
		{"../fa", "../fa", "../", "en"},
		{"\xff\xfe", "\xff", "\xff", "en"},
		{"fa-x-" + strings.Repeat("aaaaaaaa-", 100) + "a", "", "TR", "fa"},
		{"", "fa;q=x", "TR", "tr"},
		{"", "fa;" + strings.Repeat("q", 100), "TR", "tr"},
		{"", "de" + strings.Repeat(",xx", 5000), "TR", "de"},
		{"", "xx" + strings.Repeat(",xx", 300) + ",de", "TR", "de"},
		{"", "de;q=0.1" + strings.Repeat(",xx", 338) + ",fr", "TR", "de"}, // the limit is within fr
		{"", strings.Repeat("fa-", 1<<20), "TR", "tr"},
		{"", strings.Repeat("-", 200), "TR", "tr"},
		{"", "", strings.Repeat("IR", 1<<20), "en"},
	}
	texts := newTexts(t, options(nil))
	for _, tt := range tests {
		if got := texts.Locale(tt.asked, tt.header, tt.region); got != tt.want {
			t.Errorf("Locale(%.50q, %.50q, %.50q): got %s, want %s", tt.asked, tt.header, tt.region, got, tt.want)
		}
	}
}

func TestTag(t *testing.T) {
	for _, well := range []string{
		"fa", "fa-IR", "zh-Hant-TW", "en-US-u-mu-celsius", "sr-Latn-RS-ekavsk-a-foo-b-bar-x-y", "i-klingon", "x-app",
		"de-CH-1901", "sl-rozaj-biske-1994", "es-419", "qaa-Qaaa-QM-x-southern", "FA-ir", "xx-YY",
	} {
		if got := Tag(well); got != well {
			t.Errorf("Tag(%q) = %q; want it as it is", well, got)
		}
	}
	if got := Tag("fa_IR"); got != "fa-IR" {
		t.Errorf("Tag(fa_IR) = %q; want fa-IR", got)
	}
	for _, ill := range []string{
		"", "f", "-", "fa-", "-fa", "fa--IR", "fa IR", "fa-\x00", "abcdefghi", "fa;q=1", "../fa", "\xff",
		"en-US@posix", "فا", "fa-toolongsubtag", "de-1996-Latn", "fa-IR-u", "fa-x", "x", "i-unknown", "fa-IR-IR",
	} {
		if got := Tag(ill); got != "" {
			t.Errorf("Tag(%q) = %q; want it ignored", ill, got)
		}
	}
}

func TestLocaleOfAddedFiles(t *testing.T) {
	folder := t.TempDir()
	for _, locale := range []string{"az", "pt-BR", "zh-Hant", "ckb"} {
		file := `{{define "login"}}{{.Code}}{{end}}{{define "phone_change"}}{{.Code}}{{end}}`
		if err := os.WriteFile(filepath.Join(folder, locale+".tmpl"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	texts := newTexts(t, options(func(o *Options) { o.Folder = folder }))
	tests := []struct{ asked, region, want string }{
		{"az", "", "az"},
		{"", "AZ", "az"},
		{"pt-BR", "", "pt-BR"},
		{"pt", "", "pt-BR"},
		{"pt-PT", "", "pt-BR"},
		{"", "BR", "pt-BR"},
		{"zh-TW", "", "zh-Hant"},
		{"", "HK", "zh-Hant"},
		{"zh-CN", "", "en"},
		{"ckb-IQ", "", "ckb"},
		{"ku", "", "en"},
		{"fa", "", "fa"},
	}
	for _, tt := range tests {
		if got := texts.Locale(tt.asked, "", tt.region); got != tt.want {
			t.Errorf("Locale(%q, , %q): got %s, want %s", tt.asked, tt.region, got, tt.want)
		}
	}
}

func FuzzLocale(f *testing.F) {
	f.Add("fa-IR", chromeHeader, "IR")
	f.Add("und", "*;q=0", "001")
	texts := newTexts(f, options(nil))
	f.Fuzz(func(t *testing.T, asked, header, region string) {
		if got := texts.Locale(asked, header, region); !slices.Contains(texts.locales, got) {
			t.Errorf("Locale(%q, %q, %q): got %q", asked, header, region, got)
		}
	})
}

func BenchmarkLocale(b *testing.B) {
	texts := newTexts(b, options(nil))
	for _, bb := range []struct{ name, asked, header, region string }{
		{"asked", "fa-IR", chromeHeader, "IR"},
		{"header", "", chromeHeader, "IR"},
		{"region", "", "", "IR"},
		{"nothing fits", "zh", "zh-CN,zh;q=0.9", "CN"},
		{"hostile header", "", "zh" + strings.Repeat(",zh", 66), "CN"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				texts.Locale(bb.asked, bb.header, bb.region)
			}
		})
	}
}
