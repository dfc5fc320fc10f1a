package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// ends are the functions that end what the tests have started.
var (
	endsMu sync.Mutex
	ends   []func()
)

func atEnd(end func()) {
	endsMu.Lock()
	defer endsMu.Unlock()
	ends = append(ends, end)
}

// Close ends all browsers. TestMain calls it after the tests.
func Close() {
	endsMu.Lock()
	defer endsMu.Unlock()
	for len(ends) > 0 {
		ends[len(ends)-1]()
		ends = ends[:len(ends)-1]
	}
}

// A process is a program that a browser consists of. It ends with Close, and also when the tests are killed.
type process struct {
	log string // the file of its output
	cmd *exec.Cmd
}

// home returns a new directory for all that a browser writes. Close removes it, or .ci/with-services if the tests were
// killed.
func home() (string, error) {
	dir, err := os.MkdirTemp(os.Getenv("TEST_BUILD_DIR"), "otp-browser-home-")
	atEnd(func() { os.RemoveAll(dir) })
	return dir, err
}

// dying runs a program that ends when its parent does, which covers kill -9 and a panic of the tests.
var dying = []string{"setpriv", "--pdeathsig", "TERM"}

// start starts a program in a home of its own.
func start(home string, env []string, args ...string) (*process, error) {
	p := &process{log: filepath.Join(home, filepath.Base(args[0])+".log")}
	output, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer output.Close() // the process has its own descriptor
	args = append(slices.Clip(dying), args...)
	ctx, cancel := context.WithCancel(context.Background())
	p.cmd = exec.CommandContext(ctx, args[0], args[1:]...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 10 * time.Second // after which it is killed
	p.cmd.Dir = home
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + home,
		"XDG_RUNTIME_DIR=" + home,
		"LC_ALL=en_US.UTF-8",
	}, env...)
	if err := p.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	atEnd(func() {
		cancel()
		_ = p.cmd.Wait()
	})
	return p, nil
}

// announces waits until the output matches an expression, and returns its group.
func (p *process) announces(expression string) (string, error) {
	deadline := time.Now().Add(servicetest.Patience)
	for ; time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(p.log)
		if err != nil {
			return "", err
		}
		if m := regexp.MustCompile(expression).FindSubmatch(text); m != nil {
			return string(m[1]), nil
		}
	}
	text, _ := os.ReadFile(p.log)
	return "", fmt.Errorf("%s does not announce %s: %s", p.cmd.Path, expression, text)
}
