//! crm_oracle
