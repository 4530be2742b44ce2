"""The contract as code: `check_backbone` proves a backbone's properties one by one."""

from dsbench.backbones.check.runner import CHECKS, CheckReport, CheckResult, check_backbone

__all__ = ["CHECKS", "CheckReport", "CheckResult", "check_backbone"]
