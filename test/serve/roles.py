"""A check for Schemathesis: what a role may not do is refused, whatever is sent.

RUNNER_TEST_MAY lists the rules (x-access in the document) that the role passes.
"""

import os

import schemathesis

MAY = os.environ["RUNNER_TEST_MAY"].split(",")


@schemathesis.check
def refused(ctx, response, case):
    rule = case.operation.definition.raw["x-access"]
    if rule not in MAY and response.status_code not in (401, 403):
        raise AssertionError(f"{case.method} {case.path} is for {rule}, and was answered with {response.status_code}")
