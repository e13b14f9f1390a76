// Package s3 keeps blobs in an S3 bucket, or in one of a service that speaks
// its protocol (R2, MinIO, Ceph, …).
package s3

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// Config says where the bucket is. What is empty comes from the environment:
// R2_ENDPOINT, R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY, and else the AWS SDK's
// chain (environment, profiles, roles).
type Config struct {
	Bucket          string
	Prefix          string // of every key
	Endpoint        string // of a service that is not AWS: https://host[:port]
	Region          string // AWS_REGION, and else "us-east-1"
	PathStyle       *bool  // bucket in the path and not in the host; nil = with an endpoint
	AccessKeyID     string
	SecretAccessKey string
	PartSize        int64               // bytes; 0 = 16 MiB, at least 5 MiB to upload
	Getenv          func(string) string // nil = os.Getenv
}

// Blobs is a bucket, or the part of one below a prefix.
type Blobs struct {
	client   *s3.Client
	transfer *transfermanager.Client
	bucket   string
	prefix   string
	part     int64
}

// parallel is how many parts of a file are on their way at once.
const parallel = 4

// Open prepares requests; it makes none.
func Open(ctx context.Context, c Config) (*Blobs, error) {
	if c.Bucket == "" {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "no bucket is named")
	}
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	c.fromEnvironment()
	if c.PartSize == 0 {
		c.PartSize = 16 << 20
	}
	// A service that does not answer must not look like a slow one for ever.
	transport := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 10 * time.Second }).
		WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout, t.TLSHandshakeTimeout = time.Minute, 10*time.Second
			t.MaxIdleConnsPerHost = 2 * parallel
		})
	load := []func(*config.LoadOptions) error{config.WithHTTPClient(transport),
		config.WithRetryer(func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), 4) })}
	if c.Region != "" {
		load = append(load, config.WithRegion(c.Region))
	}
	if c.AccessKeyID != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, "")))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, pipelines.Errorf(pipelines.CodeInvalid, "the S3 settings of the environment cannot be used: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1" // which R2 takes for its "auto", and others expect
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = &c.Endpoint, true
		}
		if c.PathStyle != nil {
			o.UsePathStyle = *c.PathStyle
		}
		// R2 and others answer the SDK's default checksums with 501.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	transfer := transfermanager.New(client, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold, o.Concurrency = c.PartSize, c.PartSize, parallel
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.FailTimeout = 10 * time.Second // parts already sent are given up even when ctx has ended
	})
	return &Blobs{client: client, transfer: transfer, bucket: c.Bucket, prefix: strings.Trim(c.Prefix, "/"), part: c.PartSize}, nil
}

// fromEnvironment fills in R2's variables where nothing was given.
func (c *Config) fromEnvironment() {
	if c.Endpoint == "" {
		c.Endpoint = c.Getenv("R2_ENDPOINT")
	}
	if c.AccessKeyID == "" && c.Endpoint != "" {
		c.AccessKeyID, c.SecretAccessKey = c.Getenv("R2_ACCESS_KEY_ID"), c.Getenv("R2_SECRET_ACCESS_KEY")
	}
}

func (b *Blobs) name(key string) *string { return aws.String(path.Join(b.prefix, key)) }

// URL implements runner.Blobs.
func (b *Blobs) URL(key string) string { return "s3://" + path.Join(b.bucket, b.prefix, key) }

// Put implements runner.Blobs. A file larger than a part goes in parts.
func (b *Blobs) Put(ctx context.Context, key, file string) error {
	if err := runner.CheckBlobKey(key); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = b.transfer.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &b.bucket, Key: b.name(key), Body: f})
	return b.coded(ctx, key, err)
}

// List implements runner.Blobs.
func (b *Blobs) List(ctx context.Context, prefix string) ([]runner.Blob, error) {
	full := prefix
	if b.prefix != "" {
		full = b.prefix + "/" + prefix
	}
	var out []runner.Blob
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: &full})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.coded(ctx, prefix, err)
		}
		for _, o := range page.Contents {
			key := strings.TrimPrefix(aws.ToString(o.Key), b.prefix+"/")
			if b.prefix == "" {
				key = aws.ToString(o.Key)
			}
			if strings.HasSuffix(key, "/") { // what consoles make to show a folder
				continue
			}
			out = append(out, runner.Blob{Key: key, Size: aws.ToInt64(o.Size), ETag: aws.ToString(o.ETag), Modified: aws.ToTime(o.LastModified)})
		}
	}
	return out, nil
}

// Delete implements runner.Blobs. One request a key: not every service has
// the one for many, which also needs a checksum that some refuse.
func (b *Blobs) Delete(ctx context.Context, keys ...string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * parallel)
	for _, key := range keys {
		group.Go(func() error {
			if err := runner.CheckBlobKey(key); err != nil {
				return err
			}
			_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: b.name(key)})
			if err = b.coded(ctx, key, err); pipelines.CodeOf(err) == pipelines.CodeNotFound {
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// refused are error codes that no further try can change.
var refused = map[string]bool{
	"AccessDenied": true, "InvalidAccessKeyId": true, "SignatureDoesNotMatch": true, "NoSuchBucket": true,
	"InvalidBucketName": true, "PermanentRedirect": true, "AuthorizationHeaderMalformed": true, "Unauthorized": true,
	"Forbidden": true, "NotImplemented": true, "EntityTooLarge": true,
}

// coded gives an error the code that callers decide by, and words that say
// what to do.
func (b *Blobs) coded(ctx context.Context, key string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var gone *types.NoSuchKey
	var missing *types.NotFound
	if errors.As(err, &gone) || errors.As(err, &missing) {
		return pipelines.Errorf(pipelines.CodeNotFound, "%s is not there: %w", b.URL(key), err)
	}
	if strings.Contains(err.Error(), "get credentials") {
		return pipelines.Errorf(pipelines.CodeInvalid, "there are no credentials for %s: set R2_ENDPOINT, R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY, or what the AWS chain reads (AWS_ACCESS_KEY_ID, AWS_PROFILE, a role): %w", b.URL(key), err)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if refused[api.ErrorCode()] {
			return pipelines.Errorf(pipelines.CodeInvalid, "%s was refused (%s: %s); check bucket, region, endpoint and credentials: %w",
				b.URL(key), api.ErrorCode(), api.ErrorMessage(), err)
		}
		if api.ErrorCode() == "NoSuchKey" || api.ErrorCode() == "NotFound" {
			return pipelines.Errorf(pipelines.CodeNotFound, "%s is not there: %w", b.URL(key), err)
		}
	}
	return pipelines.Errorf(pipelines.CodeUnavailable, "%s cannot be reached now: %w", b.URL(key), err)
}
