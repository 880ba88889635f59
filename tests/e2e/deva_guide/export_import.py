# 导出完整状态（用于备份）
export_data = source.export_state(include_data=True, include_code=True)
print(f"导出状态包含 {len(export_data)} 个字段")

# 导入状态（用于恢复或迁移）
new_source = DataSource(name="restored_source")
import_result = new_source.import_state(export_data, merge=False)
print(f"状态导入结果: {import_result}")
