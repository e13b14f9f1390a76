package platformsdk_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	platformsdk "github.com/trainwright/trainwright/sdk/python"
)

// A module in a new sub-package must not be forgotten in the embed pattern.
func TestEveryModuleIsEmbedded(t *testing.T) {
	found := 0
	err := filepath.WalkDir("platform_sdk", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".py") {
			return err
		}
		found++
		if _, err := platformsdk.Files.ReadFile(filepath.ToSlash(path)); err != nil {
			t.Errorf("%s is not embedded; add its folder to embed.go", path)
		}
		return nil
	})
	if err != nil || found < 10 {
		t.Fatalf("%d modules found, %v", found, err)
	}
	if platformsdk.Version() == "" {
		t.Error("no version found in platform_sdk/__init__.py")
	}
}
