package operation

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/otp"
)

// number returns the number in the only match of a pattern in a file.
func number(t *testing.T, path, pattern string) int {
	t.Helper()
	found := regexp.MustCompile(pattern).FindAllStringSubmatch(file(t, servicetest.Root+path), -1)
	if len(found) != 1 {
		t.Fatalf("%s has %d matches of %s; want 1", path, len(found), pattern)
	}
	n, err := strconv.Atoi(found[0][1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestGracePeriods checks that nothing kills a copy before it has answered the requests in progress and delivered their
// messages.
func TestGracePeriods(t *testing.T) {
	const manifests = "docs/deploy/kubernetes.yaml"
	drain := number(t, "main.go", `(?m)^\tdrainTimeout = (\d+) \* time\.Second`)
	need := drain + int(otp.DrainTimeout/time.Second)
	before := number(t, manifests, `preStop:\n +sleep:\n +seconds: (\d+)`)
	for where, seconds := range map[string]int{
		"terminationGracePeriodSeconds": number(t, manifests, `terminationGracePeriodSeconds: (\d+)`) - before,
		"stop_grace_period":             number(t, "docker-compose.yml", `stop_grace_period: (\d+)s`),
		"TimeoutStopSec":                number(t, "docs/deploy/dekamond-otp.service", `TimeoutStopSec=(\d+)\n`),
	} {
		if seconds <= need {
			t.Errorf("%s leaves %d s after SIGTERM; the service needs up to %d", where, seconds, need)
		}
	}
	if failures := number(t, manifests, `(?s)readinessProbe:.*?failureThreshold: (\d+)`); failures < 30 {
		t.Errorf("copies leave the Service after %d s without a store; want them to outlast a failover", failures)
	}
	version := regexp.MustCompile(`(?m)^ARG VERSION=(.+)$`).FindStringSubmatch(file(t, servicetest.Root+"Dockerfile"))
	if image := regexp.MustCompile(`image: \S+:(\S+)`).FindStringSubmatch(
		file(t, servicetest.Root+manifests)); version == nil || image == nil || image[1] != version[1] {
		t.Errorf("kubernetes.yaml has the image %v; want the version %v", image, version)
	}
}
