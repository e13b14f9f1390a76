package ort

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// api.h's slot numbers equal those of the C header that another Go binding
// carries, where that module lies in the module cache.
func TestSlotNumbers(t *testing.T) {
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Skipf("needs the go command: %v", err)
	}
	found, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(cache)), "github.com/yalue/onnxruntime_go@*/onnxruntime_c_api.h"))
	if len(found) == 0 {
		t.Skip("needs onnxruntime_c_api.h of module github.com/yalue/onnxruntime_go in the module cache")
	}
	header, err := os.ReadFile(found[0])
	must(t, err)
	official := officialSlots(t, string(header))
	ours, err := os.ReadFile("api.h")
	must(t, err)
	slots := regexp.MustCompile(`Slot_(\w+) = (\d+),`).FindAllStringSubmatch(string(ours), -1)
	if len(slots) < 50 {
		t.Fatalf("found %d slots in api.h", len(slots))
	}
	for _, m := range slots {
		want, ok := official[m[1]]
		if got, _ := strconv.Atoi(m[2]); !ok || got != want {
			t.Errorf("slot of %s is %s here, %d (known: %v) in the header", m[1], m[2], want, ok)
		}
	}
}

// officialSlots numbers the members of struct OrtApi.
func officialSlots(t *testing.T, header string) map[string]int {
	_, body, ok := strings.Cut(header, "struct OrtApi {")
	if !ok {
		t.Fatal("the header has no struct OrtApi")
	}
	body, _, _ = strings.Cut(regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`).ReplaceAllString(body, ""), "\n};")
	member := regexp.MustCompile(`^(?:ORT_API2_STATUS\(\s*(\w+)|ORT_CLASS_RELEASE\(\s*(\w+)|ORT_API_T\([^,]*,\s*(\w+)|[^(]*\(\s*(?:ORT_API_CALL)?\s*\*\s*(\w+)\))`)
	slots := map[string]int{}
	for i, decl := range strings.Split(body, ";") {
		decl = strings.TrimSpace(decl)
		m := member.FindStringSubmatch(decl)
		if m == nil {
			if decl != "" {
				t.Fatalf("member %d is of an unknown form: %s", i, decl)
			}
			continue
		}
		name := m[1] + m[3] + m[4]
		if m[2] != "" {
			name = "Release" + m[2]
		}
		slots[name] = i
	}
	return slots
}
