package operation

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/servertest"
)

const observe = servicetest.Root + "observe/"

// A panel is one of observe/grafana/dashboard.json.
type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	Datasource  source
	Targets     []struct {
		RefID, Expr string
		Datasource  source
	}
	FieldConfig struct{ Defaults struct{ Unit string } }
	Panels      []panel
}

type source struct{ Type, UID string }

func dashboard(t *testing.T) (panels []panel, variables []string) {
	t.Helper()
	var d struct {
		Panels     []panel
		Templating struct{ List []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(file(t, observe+"grafana/dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	return d.Panels, variables
}

func file(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDashboard(t *testing.T) {
	panels, variables := dashboard(t)
	ids := make(map[int]bool)
	var taken [1000][24]string
	for _, p := range panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				if x >= 24 || taken[y][x] != "" {
					t.Fatalf("panel %q lies over %q or outside", p.Title, taken[y][min(x, 23)])
				}
				taken[y][x] = p.Title
			}
		}
		if p.Title == "" {
			t.Errorf("panel %d has no title", p.ID)
		}
		if p.Type == "row" {
			if len(p.Panels) > 0 {
				t.Errorf("the panels of row %q are not seen by this test", p.Title)
			}
			continue
		}
		ours := source{"prometheus", "${datasource}"}
		if p.FieldConfig.Defaults.Unit == "" || p.Datasource != ours || len(p.Targets) == 0 {
			t.Errorf("panel %q has unit %q, datasource %v, %d targets",
				p.Title, p.FieldConfig.Defaults.Unit, p.Datasource, len(p.Targets))
		}
		for _, q := range p.Targets {
			if q.Datasource != ours || q.Expr == "" {
				t.Errorf("panel %q: target %s has datasource %v and expression %q",
					p.Title, q.RefID, q.Datasource, q.Expr)
			}
			for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(q.Expr, -1) {
				if !slices.Contains(append(variables, "__rate_interval", "__range"), m[1]) {
					t.Errorf("panel %q: there is no variable %s", p.Title, m[0])
				}
			}
		}
	}
}

func TestAlertRules(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert               string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(file(t, observe+"alerts.yml")), &rules); err != nil {
		t.Fatal(err)
	}
	stories, monitoring := file(t, observe+"alerts_test.yml"), file(t, servicetest.Root+"docs/monitoring.md")
	var alerts []string
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			alerts = append(alerts, r.Alert)
			if s := r.Labels["severity"]; s != "page" && s != "ticket" {
				t.Errorf("%s has severity %q; want page or ticket", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s has annotations %q; want a summary and a description", r.Alert, r.Annotations)
			}
			if !strings.Contains(stories, `alertname="`+r.Alert+`", alertstate="firing"`) {
				t.Errorf("in alerts_test.yml %s never fires", r.Alert)
			}
			if !strings.Contains(monitoring, "`"+r.Alert+"`") {
				t.Errorf("docs/monitoring.md does not have %s", r.Alert)
			}
		}
	}
	for _, m := range regexp.MustCompile("`(OTP[A-Z][A-Za-z]+)`").FindAllStringSubmatch(monitoring, -1) {
		if !slices.Contains(alerts, m[1]) {
			t.Errorf("docs/monitoring.md has %s, which is no alert", m[1])
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("THE ALERT RULES WERE NOT TRIED: there is no promtool")
	}
	for _, args := range [][]string{{"check", "config", "prometheus.yml"}, {"test", "rules", "alerts_test.yml"}} {
		t.Run(args[1], func(t *testing.T) {
			t.Parallel()
			c := exec.Command(promtool, args...)
			c.Dir = observe
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		})
	}
}

func TestComposeIsForThisMachine(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Profiles, Ports, Volumes []string
			Environment              map[string]string
		}
	}
	if err := yaml.Unmarshal([]byte(file(t, servicetest.Root+"docker-compose.yml")), &compose); err != nil {
		t.Fatal(err)
	}
	for name, s := range compose.Services {
		watches := name == "prometheus" || name == "grafana"
		if got := slices.Equal(s.Profiles, []string{"observe"}); got != watches {
			t.Errorf("%s has profiles %q", name, s.Profiles)
		}
		for _, p := range s.Ports {
			if !regexp.MustCompile(`^\$\{PUBLISH[A-Z_]*:-127\.0\.0\.1:\d+\}:\d+$`).MatchString(p) {
				t.Errorf("%s publishes %s", name, p)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if !strings.HasPrefix(from, ".") {
				continue
			}
			if _, err := os.Stat(servicetest.Root + from); err != nil || !strings.HasSuffix(v, ":ro") {
				t.Errorf("%s mounts %s: %v", name, v, err)
			}
		}
	}
	folder := compose.Services["grafana"].Environment["GF_PATHS_PROVISIONING"][:len("/etc/dekamond")]
	port := strings.TrimPrefix(compose.Services["otp"].Environment["INTERNAL_ADDR"], ":")
	for path, want := range map[string]string{
		"grafana/provisioning/dashboards/otp.yml":         "path: " + folder + "\n",
		"grafana/provisioning/datasources/prometheus.yml": "url: http://prometheus:9090\n",
		"prometheus.yml": "port: " + port + "\n",
	} {
		if !strings.Contains(file(t, observe+path), want) {
			t.Errorf("%s does not have %s", path, want)
		}
	}
}

// A family is a metric as the service exposes it, with the names of its labels.
type family struct {
	kind   string
	labels []string
}

// families returns the metrics that the service exposes, by their names.
func families(t *testing.T, s *servicetest.Service) map[string]family {
	t.Helper()
	families := make(map[string]family)
	var name string
	for line := range strings.Lines(s.Metrics()) {
		if m := regexp.MustCompile(`^# TYPE (\S+) (\S+)`).FindStringSubmatch(line); m != nil {
			name = m[1]
			families[name] = family{kind: m[2]}
			continue
		}
		f := families[name]
		for _, m := range regexp.MustCompile(`[{,](\w+)="`).FindAllStringSubmatch(line, -1) {
			if m[1] != "le" && !slices.Contains(f.labels, m[1]) {
				f.labels = append(f.labels, m[1])
			}
		}
		families[name] = f
	}
	return families
}

// documented returns the metrics in the table of docs/monitoring.md, which has the form `name{label,label}`.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	names := make(map[string][]string)
	for line := range strings.Lines(file(t, servicetest.Root+"docs/monitoring.md")) {
		if !strings.HasPrefix(line, "| `otp_") {
			continue
		}
		first, _, _ := strings.Cut(line[1:], "|")
		for _, m := range regexp.MustCompile("`(otp_[a-z_]+)(?:{([a-z,]+)})?`").FindAllStringSubmatch(first, -1) {
			names[m[1]] = strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' })
		}
	}
	return names
}

// TestObserve compares the table of docs/monitoring.md, the dashboard and the alert rules with the metrics of a service
// that has seen most kinds of events, and then has a real Prometheus scrape it.
func TestObserve(t *testing.T) {
	s := servicetest.Start(t, servicetest.RealStores(t), "INTERNAL_ADDR=127.0.0.1:0", "OTP_LIMIT_PHONE=2/10m",
		"OTP_RESEND_AFTER=0", "SMS_REGIONS=IR,DE", "DEFAULT_REGION=IR")
	makeTraffic(s, "+989121000001")
	namesOnlyKnownMetrics(t, families(t, s))
	if t.Failed() {
		return
	}

	p := startPrometheus(t, s.InternalAddress())
	servicetest.Eventually(t, "Prometheus scrapes the service", func() bool {
		return p.finds(`otp_messages_total{event="sent"}`)
	})
	makeTraffic(s, "+989121000002", "+989121000003")
	servicetest.Eventually(t, "Prometheus sees the later messages", func() bool {
		return p.finds(`increase(otp_messages_total{event="sent"}[1m]) > 0`)
	})
	fill := strings.NewReplacer(
		"$__rate_interval", "1m", "$__range", "5m", "$provider", ".*", "$region", ".*", "$instance", ".*")
	panels, _ := dashboard(t)
	for _, panel := range panels {
		if panel.Type == "row" {
			continue
		}
		servicetest.Eventually(t, "the panel "+panel.Title+" shows something", func() bool {
			for _, q := range panel.Targets {
				if p.finds(fill.Replace(q.Expr)) {
					return true
				}
			}
			return false
		})
	}
	servicetest.Eventually(t, "Prometheus evaluates all alert rules", p.evaluatesRules)
}

// makeTraffic logs in with each phone, after a wrong code, and has some requests refused.
func makeTraffic(s *servicetest.Service, phones ...string) {
	for _, phone := range phones {
		code := s.Code(phone)
		s.Want(s.Verify(phone, servicetest.WrongCode(code), "Accept: application/json"), 401, "invalid_code")
		s.Want(s.Verify(phone, code), 201, "")
		s.Want(s.Request(phone), 202, "")
		s.Want(s.Request(phone), 429, "too_many_requests")
		s.AwaitMessages()
	}
	s.Want(s.Request("+12015550123"), 403, "destination_not_allowed")
	s.Want(s.Call("GET", "/nowhere", ""), 404, "not_found")
}

// namesOnlyKnownMetrics checks that docs/monitoring.md documents the metrics of the service, all of them, and that the
// dashboard and the alert rules name no others.
func namesOnlyKnownMetrics(t *testing.T, families map[string]family) {
	t.Helper()
	known := make(map[string]bool)
	for name, f := range families {
		known[name] = true
		if f.kind == "histogram" || f.kind == "summary" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				known[name+suffix] = true
			}
		}
	}
	table := documented(t)
	for name, labels := range table {
		got := slices.Sorted(slices.Values(families[name].labels))
		if want := slices.Sorted(slices.Values(labels)); !known[name] || !slices.Equal(got, want) {
			t.Errorf("docs/monitoring.md has %s with the labels %q; the service exposes it with %q (%v)",
				name, want, got, known[name])
		}
	}
	for name := range families {
		if _, ok := table[name]; !ok && strings.HasPrefix(name, "otp_") {
			t.Errorf("docs/monitoring.md does not have %s", name)
		}
	}
	metric := regexp.MustCompile(`\b(otp|go|process)_[a-z_]+`)
	for _, path := range []string{"alerts.yml", "alerts_test.yml", "grafana/dashboard.json"} {
		for _, name := range metric.FindAllString(file(t, observe+path), -1) {
			if !known[name] {
				t.Errorf("%s names %s, which the service does not expose", path, name)
				known[name] = true
			}
		}
	}
}

// A prometheus is a running Prometheus that scrapes a service each second, with observe/prometheus.yml.
type prometheus struct {
	t   *testing.T
	url string
}

func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("THE DASHBOARD WAS NOT TRIED: there is no prometheus")
	}
	var c map[string]any
	if err := yaml.Unmarshal([]byte(file(t, observe+"prometheus.yml")), &c); err != nil {
		t.Fatal(err)
	}
	c["global"] = map[string]string{"scrape_interval": "1s", "evaluation_interval": "1s"}
	scrape := c["scrape_configs"].([]any)[0].(map[string]any)
	maps.DeleteFunc(scrape, func(k string, _ any) bool { return k == "dns_sd_configs" })
	scrape["static_configs"] = []any{map[string]any{"targets": []string{target}}}
	dir := t.TempDir()
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "prometheus.yml"), text, 0o600),
		os.WriteFile(filepath.Join(dir, "alerts.yml"), []byte(file(t, observe+"alerts.yml")), 0o600)); err != nil {
		t.Fatal(err)
	}
	address := servertest.FreeAddress(t)
	command := exec.Command(program,
		"--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address,
	)
	output := servicetest.NewOutput(t)
	command.Stdout, command.Stderr = output.File, output.File
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	servicetest.Eventually(t, "Prometheus is ready", func() bool {
		r, err := servicetest.Client.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return &prometheus{t: t, url: "http://" + address + "/api/v1/"}
}

// get asks the API and keeps what it answers in data.
func (p *prometheus) get(path string, values url.Values, data any) {
	p.t.Helper()
	r, err := servicetest.Client.Get(p.url + path + "?" + values.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || answer.Status != "success" {
		p.t.Fatalf("%s %v: %v %s", path, values, err, answer.Error)
	}
}

// finds reports whether a query has a result now.
func (p *prometheus) finds(expr string) bool {
	p.t.Helper()
	var r struct{ Result []any }
	p.get("query", url.Values{"query": {expr}}, &r)
	return len(r.Result) > 0
}

// evaluatesRules reports whether all alert rules have been evaluated. An error of one ends the test.
func (p *prometheus) evaluatesRules() bool {
	p.t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.get("rules", nil, &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.LastError != "" {
				p.t.Fatalf("%s: %s", r.Name, r.LastError)
			}
			if r.Health != "ok" {
				return false
			}
		}
	}
	return len(rules.Groups) > 0
}
