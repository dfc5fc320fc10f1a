package operation

import (
	"regexp"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// TestVersion checks that the newest entry of CHANGELOG.md, the command version, the OpenAPI document, the log and the
// metric name the same version.
func TestVersion(t *testing.T) {
	t.Parallel()
	newest := regexp.MustCompile(`(?m)^## \[([^]]+)\] - \d{4}-\d{2}-\d{2}$`).
		FindStringSubmatch(file(t, servicetest.Root+"CHANGELOG.md"))
	if newest == nil {
		t.Fatal("CHANGELOG.md has no version")
	}
	version := newest[1]
	_, out, _ := servicetest.Run(t, t.TempDir(), nil, "version")
	if printed, _, _ := strings.Cut(strings.TrimSpace(out), " "); printed != version {
		t.Errorf("the command prints %q; want %s of CHANGELOG.md", out, version)
	}
	document := file(t, servicetest.Root+"internal/httpapi/openapi.yaml")
	if !strings.Contains(document, "\n  version: "+version+"\n") {
		t.Errorf("openapi.yaml does not have the version %s", version)
	}
	s := servicetest.Start(t, nil, "INTERNAL_ADDR=127.0.0.1:0")
	if log := s.Log.String(); !strings.Contains(log, "version="+version+" ") {
		t.Errorf("the log does not have the version %s:\n%s", version, log)
	}
	if want := `otp_build_info{version="` + version + `"} 1`; !strings.Contains(s.Metrics(), want) {
		t.Errorf("the metrics do not have %s", want)
	}
}
